import { enqueueRun } from './enqueue-run.js';
import { faultPointsOf } from './fault-point.js';
import { Hands } from './hand.js';
import { type KillRun, type WorkerHands, killRun } from './kill-run.js';
import { brokerOutage, resultsOutage } from './outage-run.js';
import { Random } from './random.js';
import { Ground } from './scene.js';

// The short form of `npm run test:fault`: docs/explanation/reliability.md.

/** Runs at the same time: while one waits, another works. */
const LANES = 3;
const RUNS = 6;
const FAULT_POINTS = faultPointsOf('rabbitmq');
/** Another seed, other tasks and other orders of death: FAULT_SEED=7 npm test -- fault */
const SEED = Number(process.env['FAULT_SEED'] ?? 1);

jest.setTimeout(240_000);

let ground: Ground;
let workers: WorkerHands;

beforeAll(async () => {
  workers = new Hands('worker.ts', LANES);
  ground = await Ground.open();
});

afterAll(async () => {
  await workers.close();
  await ground.close();
});

describe(`workers that are killed at every fault point (seeds from ${SEED})`, () => {
  const runs: KillRun[] = [];

  beforeAll(async () => {
    const points = (run: number) => FAULT_POINTS.filter((_, index) => index % RUNS === run);
    let next = 0;
    const lane = async (): Promise<void> => {
      for (let run = next++; run < RUNS; run = next++) {
        runs.push(await killRun({ ground, workers, seed: SEED + run, points: points(run) }));
      }
    };
    await Promise.all(Array.from({ length: LANES }, lane));
  });

  it('died at each of them', () => {
    expect(runs.flatMap(({ missed }) => missed)).toEqual([]);
    expect(runs.flatMap(({ kills }) => kills).sort()).toEqual([...FAULT_POINTS].sort());
  });

  it('leave each task with one record and each follow-up caused once, and nothing behind', () => {
    expect(runs.flatMap(({ seed, violations }) => violations.map((violation) => `seed ${seed}: ${violation}`))).toEqual(
      [],
    );
  });
});

it('keeps to all of it where PostgreSQL is the broker too, and workers are killed', async () => {
  const points = new Random(SEED).shuffled(faultPointsOf('postgres'));
  const run = await killRun({ ground, workers, seed: SEED, broker: 'postgres', points });
  expect(run.violations).toEqual([]);
  expect(run.kills).toEqual(points);
});

it('runs exactly the calls of transactions that commit, though callers are killed in the middle', async () => {
  const { begun, committed, kills, violations } = await enqueueRun({ ground, workers, seed: SEED, transactions: 100 });
  expect(violations).toEqual([]);
  expect(kills).toBeGreaterThan(0);
  expect(committed).toBeGreaterThan(0);
  expect(committed).toBeLessThan(begun);
});

it('holds what it has while PostgreSQL is away, takes no more, then commits all', async () => {
  const { violations, during, prefetch } = await resultsOutage({ ground, workers, outageMs: 2_000 });
  expect(violations).toEqual([]);
  expect(during.delivered - during.acknowledged).toBe(prefetch);
});

it('drains the outbox that has filled while the broker was away', async () => {
  expect(await brokerOutage({ ground, workers, outageMs: 2_000 })).toMatchObject({ violations: [] });
});
