import { Hands } from './hand.js';
import { OF_ONE_NODE } from './disturbance.js';
import type { WorkerHands } from './kill-run.js';
import { StormGround } from './storm-ground.js';
import { type Storm, stormRun } from './storm-run.js';

// The short form of the storms of `npm run test:fault`: docs/explanation/reliability.md.

/** Another seed, another order and other durations: FAULT_SEED=7 npm test -- storm */
const SEED = Number(process.env['FAULT_SEED'] ?? 1);

jest.setTimeout(300_000);

let ground: StormGround;
let workers: WorkerHands;

beforeAll(async () => {
  workers = new Hands('worker.ts', 3);
  ground = await StormGround.open({ nodes: 1 });
});

afterAll(async () => {
  await workers?.close();
  await ground?.close();
});

describe(`workers and callers through one disturbance after another (seed ${SEED})`, () => {
  let storm: Storm;

  beforeAll(async () => {
    storm = await stormRun({ ground, workers, seed: SEED, disturbances: OF_ONE_NODE, longestMs: 2_000 });
  });

  it('lose nothing, cause nothing twice, run again only what was in flight, and come to rest where they were', () => {
    expect(storm.violations).toEqual([]);
  });

  it('went through all of it', () => {
    expect(storm.strikes.map(({ name }) => name).sort()).toEqual([...OF_ONE_NODE].sort());
    expect(storm.tasks).toBeGreaterThan(100);
  });
});
