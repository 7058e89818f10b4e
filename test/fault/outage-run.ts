import { setTimeout as pause } from 'node:timers/promises';
import { Lovage } from 'lovage';
import { Client } from 'pg';
import { eventually } from '../support/eventually.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import type { WorkerNumbers, WorkerOrder, WorkerWord } from './assignment.js';
import type { Hand } from './hand.js';
import type { WorkerHands } from './kill-run.js';
import type { Ground, Scene } from './scene.js';
import { Idle, Plain } from './tasks.js';

export interface OutageOptions {
  readonly ground: Ground;
  readonly workers: WorkerHands;
  /** How long a server is away. */
  readonly outageMs: number;
}

export interface ResultsOutage {
  readonly tasks: number;
  readonly prefetch: number;
  /** What the worker was, before the outage and at its end. */
  readonly before: WorkerNumbers;
  readonly during: WorkerNumbers;
  /** From PostgreSQL's return until all is committed and acknowledged. */
  readonly recoveryMs: number;
  readonly violations: readonly string[];
}

const PREFETCH = 100;
/** More than it may grow by while it holds what its prefetch gives it. */
const GROWTH_MB = 64;

/** PostgreSQL goes away in the middle of many tasks, and comes back. */
export async function resultsOutage({ ground, workers, outageMs }: OutageOptions): Promise<ResultsOutage> {
  const violations: string[] = [];
  const tasks = 10_000;
  const scene = await ground.scene();
  const proxy = await TcpProxy.start(scene.place.results);
  const worker = workers.take();
  try {
    await scene.app.task(Idle).delayMany(Array.from({ length: tasks }, (_, n) => [n]));
    worker.order({
      kind: 'assign',
      ...scene.place,
      results: proxy.url,
      concurrency: 20,
      prefetch: PREFETCH,
      ledger: null,
      plan: null,
    });
    await eventually(
      async () => {
        if ((await scene.count('FROM task_results')) === 0) throw new Error('nothing is recorded');
      },
      { timeoutMs: 20_000 },
    );
    await proxy.refuse();
    const refused = performance.now();
    // It fills its prefetch, and there it stands.
    await eventually(async () => {
      const { delivered, acknowledged, running, resultsFailed } = await numbersOf(worker);
      if (delivered - acknowledged < PREFETCH || running > 0 || resultsFailed === 0)
        throw new Error(`holds ${delivered - acknowledged} deliveries, runs ${running}`);
    });
    const before = await numbersOf(worker);
    const recorded = await scene.count('FROM task_results');
    await pause(outageMs - (performance.now() - refused));
    const during = await numbersOf(worker);
    const [waiting = 0] = await scene.waiting();
    if (during.acknowledged !== before.acknowledged) violations.push('it acknowledged while PostgreSQL was away');
    if (during.acknowledged > recorded) violations.push(`${during.acknowledged} acknowledged, ${recorded} recorded`);
    if (during.delivered !== before.delivered) violations.push('it took more while it could commit nothing');
    if (waiting !== tasks - during.delivered) violations.push(`${waiting} of ${tasks} wait, ${during.delivered} taken`);
    if (during.rssMb > before.rssMb + GROWTH_MB)
      violations.push(`it grew from ${before.rssMb.toFixed(0)} to ${during.rssMb.toFixed(0)} MB`);
    const returned = performance.now();
    await proxy.accept();
    await eventually(
      async () => {
        const done = await scene.count(`FROM task_results WHERE state = 'SUCCESS' AND result = args->0`);
        const { acknowledged } = await numbersOf(worker);
        if (done !== tasks || acknowledged !== tasks) throw new Error(`${done} recorded, ${acknowledged} acknowledged`);
      },
      { timeoutMs: 60_000 },
    );
    const recoveryMs = performance.now() - returned;
    violations.push(...(await stopped(worker, scene)));
    return { tasks, prefetch: PREFETCH, before, during, recoveryMs, violations };
  } finally {
    await worker.kill();
    await proxy.stop();
    await scene.close();
  }
}

export interface BrokerOutage {
  /** Rows in the outbox when the broker came back. */
  readonly rows: number;
  readonly tasks: number;
  readonly drainMs: number;
  readonly violations: readonly string[];
}

/** The broker is away while callers write to the outbox, with a worker that waits for it; then it comes back. */
export async function brokerOutage({ ground, workers, outageMs }: OutageOptions): Promise<BrokerOutage> {
  const violations: string[] = [];
  const scene = await ground.scene();
  const proxy = await TcpProxy.start(ground.broker.url);
  const { results, schema, queue } = scene.place;
  const calls = 300;
  const app = new Lovage({
    name: 'caller',
    broker: { url: proxy.url, publishTimeout: 300 },
    results: { url: results, schema },
    defaultQueue: queue,
  });
  const worker = workers.take();
  try {
    worker.order({
      kind: 'assign',
      ...scene.place,
      broker: proxy.url,
      concurrency: 20,
      prefetch: PREFETCH,
      ledger: results,
      plan: null,
    });
    if ((await worker.next('ready')) === null) throw new TypeError(`expected a worker, got ${worker.errors}`);
    await proxy.refuse();
    const refused = performance.now();
    await Promise.all([
      transactions(scene, app, calls),
      app
        .task(Plain)
        .with({ countdown: outageMs / 2 })
        .delayMany(Array.from({ length: calls }, (_, n) => [n])),
      // Good as sent, though the broker does not answer.
      app
        .task(Plain)
        .with({ track: true })
        .delayMany(Array.from({ length: calls }, (_, n) => [n])),
    ]);
    await pause(outageMs - (performance.now() - refused));
    const rows = await scene.count('FROM outbox');
    if (rows !== 3 * calls) violations.push(`${rows} rows in the outbox, not ${3 * calls}`);
    const executions = await scene.count('FROM ledger');
    if (executions !== 0) violations.push(`${executions} tasks ran while there was no broker`);
    const returned = performance.now();
    await proxy.accept();
    await eventually(
      async () => {
        // The relay may hold leases of sendings that failed.
        await scene.endLeases();
        const done = await scene.count(`FROM task_results WHERE state = 'SUCCESS'`);
        const left = await scene.count('FROM outbox');
        const [waiting] = await scene.waiting();
        if (done !== 3 * calls || left !== 0 || waiting !== 0)
          throw new Error(`${done} done, ${left} rows left, ${waiting} messages wait`);
      },
      { timeoutMs: 60_000 },
    );
    const drainMs = performance.now() - returned;
    const again = (await scene.count('FROM ledger')) - 3 * calls;
    if (again !== 0) violations.push(`${again} executions more than tasks`);
    violations.push(...(await stopped(worker, scene)));
    return { rows, tasks: 3 * calls, drainMs, violations };
  } finally {
    await worker.kill();
    await app.stop();
    await proxy.stop();
    await scene.close();
  }
}

/** So many calls, each in a transaction of its own. */
async function transactions(scene: Scene, app: Lovage, calls: number): Promise<void> {
  const client = new Client({ connectionString: scene.place.results });
  await client.connect();
  for (let n = 0; n < calls; n++) {
    await client.query('BEGIN');
    await app.task(Plain).with({ tx: client }).delay(n);
    await client.query('COMMIT');
  }
  await client.end();
}

async function numbersOf(worker: Hand<WorkerOrder, WorkerWord>): Promise<WorkerNumbers> {
  const answer = worker.next('numbers');
  worker.order({ kind: 'numbers' });
  const numbers = await answer;
  if (numbers === null) throw new TypeError(`expected a worker that lives: ${worker.errors}`);
  return numbers;
}

/** Stops a worker that has done all it had to; resolves with what is wrong. */
async function stopped(worker: Hand<WorkerOrder, WorkerWord>, scene: Scene): Promise<readonly string[]> {
  worker.order({ kind: 'stop' });
  const { code } = await worker.ended;
  const waiting = await scene.waiting();
  return [
    ...worker.words.flatMap((word) => (word.kind === 'violation' ? [word.violation] : [])),
    ...(code === 0 ? [] : [`the worker ended with ${code}: ${worker.errors}`]),
    ...(waiting.every((count) => count === 0) ? [] : [`messages left behind: ${waiting.join()}`]),
  ];
}
