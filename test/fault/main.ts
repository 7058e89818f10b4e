/** npm run test:fault [-- --runs 200 --seed 1]: kills workers, callers and servers at random moments, lets storms strike them, and counts what came of it. */
import { parseArgs } from 'node:util';
import type { Broker } from './assignment.js';
import { enqueueRun } from './enqueue-run.js';
import { faultPointsOf } from './fault-point.js';
import { fuzzRun } from './fuzz-run.js';
import { Hands } from './hand.js';
import { type KillRun, type WorkerHands, killRun } from './kill-run.js';
import { brokerOutage, resultsOutage } from './outage-run.js';
import { OF_A_CLUSTER, OF_ONE_NODE } from './disturbance.js';
import { killReport, stormReport, table } from './report.js';
import { Ground } from './scene.js';
import { StormGround } from './storm-ground.js';
import { type Storm, stormRun } from './storm-run.js';

const { values } = parseArgs({
  options: {
    /** Which server has the queues: rabbitmq or postgres. */
    broker: { type: 'string', default: 'rabbitmq' },
    /** Runs with workers that are killed. */
    runs: { type: 'string', default: '200' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    /** Runs at the same time. */
    lanes: { type: 'string', default: '3' },
    /** Transactions of callers that are killed. */
    transactions: { type: 'string', default: '1000' },
    /** Seconds that a server is away. */
    outage: { type: 'string', default: '30' },
    /** Mutated messages that a worker is sent. */
    fuzz: { type: 'string', default: '100000' },
    /** Times that one disturbance after another strikes. */
    storms: { type: 'string', default: '3' },
    /** Of which brokers: of one node, or a cluster of three, or both. */
    nodes: { type: 'string', default: '1,3' },
    /** Seconds that one of them lasts at most. */
    longest: { type: 'string', default: '40' },
  },
});
const BROKER = brokerOf(values.broker);
const RUNS = Number(values.runs);
const SEED = Number(values.seed);
const LANES = Number(values.lanes);
const TRANSACTIONS = Number(values.transactions);
/** What is cut off is one of two servers. */
const OUTAGE_MS = BROKER === 'postgres' ? 0 : Number(values.outage) * 1_000;
const FUZZ = BROKER === 'postgres' ? 0 : Number(values.fuzz);
const STORMS = BROKER === 'postgres' ? 0 : Number(values.storms);
const NODES = values.nodes.split(',').map(Number);
const LONGEST_MS = Number(values.longest) * 1_000;

void main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});

async function main(): Promise<void> {
  const started = performance.now();
  console.log(`${RUNS} runs, seeds from ${SEED} on; one of them alone:`);
  console.log(
    `  npm run test:fault -- ${BROKER === 'postgres' ? '--broker postgres ' : ''}--runs 1 --seed SEED --transactions 0 --outage 0 --fuzz 0 --storms 0`,
  );
  const ground = await Ground.open();
  const workers: WorkerHands = new Hands('worker.ts', LANES);
  const violations: string[] = [];
  try {
    const runs = await kills(ground, workers);
    if (RUNS > 0) console.log(`\n${killReport(runs, faultPointsOf(BROKER))}\n`);
    for (const run of runs) violations.push(...run.violations.map((violation) => `seed ${run.seed}: ${violation}`));
    if (TRANSACTIONS > 0) {
      const run = await enqueueRun({ ground, workers, seed: SEED, broker: BROKER, transactions: TRANSACTIONS });
      violations.push(...run.violations);
      const head = ['transactions', 'callers killed', 'committed', 'seconds', 'violations'];
      console.log(`${table(head, [[run.begun, run.kills, run.committed, seconds(run.ms), run.violations.length]])}\n`);
    }
    if (OUTAGE_MS > 0) violations.push(...(await outages(ground, workers)));
    if (FUZZ > 0) violations.push(...(await fuzz()));
    if (STORMS > 0) for (const nodes of NODES) violations.push(...(await storms(workers, nodes)));
  } finally {
    await workers.close();
    await ground.close();
  }
  for (const violation of violations) console.log(`VIOLATION: ${violation}`);
  console.log(`${violations.length} violations, ${seconds(performance.now() - started)} s`);
  if (violations.length > 0) process.exitCode = 1;
}

async function kills(ground: Ground, workers: WorkerHands): Promise<readonly KillRun[]> {
  const runs: KillRun[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < RUNS) {
      const run = await killRun({ ground, workers, seed: SEED + next++, broker: BROKER });
      runs.push(run);
      const { seed, tasks, extra, violations, ms } = run;
      const deaths = run.kills.join(', ') || 'nothing';
      console.log(
        `seed ${seed}: ${tasks} tasks, killed at ${deaths}; ${extra} ran again, ${violations.length} violations, ${seconds(ms)} s`,
      );
      for (const violation of violations) console.log(`  ${violation}`);
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return runs;
}

async function outages(ground: Ground, workers: WorkerHands): Promise<readonly string[]> {
  const results = await resultsOutage({ ground, workers, outageMs: OUTAGE_MS });
  const { before, during } = results;
  console.log(
    table(
      ['PostgreSQL away', 'tasks', 'prefetch', 'held', 'failed commits', 'MB before', 'MB at the end', 's to recover'],
      [
        [
          `${seconds(OUTAGE_MS)} s`,
          results.tasks,
          results.prefetch,
          during.delivered - during.acknowledged,
          during.resultsFailed,
          before.rssMb.toFixed(0),
          during.rssMb.toFixed(0),
          seconds(results.recoveryMs),
        ],
      ],
    ),
  );
  const broker = await brokerOutage({ ground, workers, outageMs: OUTAGE_MS });
  const head = ['RabbitMQ away', 'rows in the outbox', 'tasks', 's to drain'];
  console.log(`\n${table(head, [[`${seconds(OUTAGE_MS)} s`, broker.rows, broker.tasks, seconds(broker.drainMs)]])}\n`);
  return [...results.violations, ...broker.violations];
}

async function fuzz(): Promise<readonly string[]> {
  const run = await fuzzRun({ seed: SEED, messages: FUZZ });
  const head = ['mutated messages', 'dead', 'recorded', 'acknowledged', "worker's MB", 'seconds', 'violations'];
  const row = [run.messages, run.dead, run.recorded, run.acknowledged, run.rssMb.toFixed(0), seconds(run.ms)];
  console.log(`${table(head, [[...row, run.violations.length]])}\n`);
  return run.violations;
}

async function storms(workers: WorkerHands, nodes: number): Promise<readonly string[]> {
  const disturbances = nodes === 1 ? OF_ONE_NODE : OF_A_CLUSTER;
  const ground = await StormGround.open({ nodes });
  const runs: Storm[] = [];
  try {
    for (let seed = SEED; seed < SEED + STORMS; seed++) {
      const run = await stormRun({ ground, workers, seed, disturbances, longestMs: LONGEST_MS });
      runs.push(run);
      console.log(
        `storm ${seed}, ${nodes} node(s): ${run.tasks} tasks, ${run.violations.length} violations, ${seconds(run.ms)} s`,
      );
      for (const violation of run.violations) console.log(`  ${violation}`);
    }
  } finally {
    await ground.close();
  }
  console.log(`\n${stormReport(runs)}\n`);
  return runs.flatMap(({ seed, violations }) => violations.map((violation) => `storm ${seed}: ${violation}`));
}

function brokerOf(name: string): Broker {
  if (name === 'rabbitmq' || name === 'postgres') return name;
  throw new TypeError(`expected --broker to be rabbitmq or postgres, got ${name}`);
}

function seconds(ms: number): string {
  return (ms / 1_000).toFixed(1);
}
