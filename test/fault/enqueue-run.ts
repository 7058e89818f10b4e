import { eventually } from '../support/eventually.js';
import type { Broker, CallerAssignment, CallerWord } from './assignment.js';
import { Hands } from './hand.js';
import type { WorkerHands } from './kill-run.js';
import { Random } from './random.js';
import type { Ground } from './scene.js';

export interface EnqueueRunOptions {
  readonly ground: Ground;
  readonly workers: WorkerHands;
  readonly seed: number;
  /** Default: RabbitMQ. The callers know of none. */
  readonly broker?: Broker;
  /** How many transactions are begun at least. */
  readonly transactions: number;
}

/** What became of calls that were made in transactions. */
export interface EnqueueRun {
  readonly begun: number;
  readonly committed: number;
  /** Processes that were killed in the middle of their transactions. */
  readonly kills: number;
  readonly ms: number;
  readonly violations: readonly string[];
}

/** Transactions of one process, unless it dies before. */
const SLICE = 40;
/** Processes that call at the same time. */
const CALLERS = 2;

/** Callers write a row and make a call in one transaction each, end it in one way or another and are killed; a worker runs what comes of it. */
export async function enqueueRun({
  ground,
  workers,
  seed,
  broker = 'rabbitmq',
  transactions,
}: EnqueueRunOptions): Promise<EnqueueRun> {
  const started = performance.now();
  const random = new Random(seed);
  const violations: string[] = [];
  const scene = await ground.scene(broker);
  const callers = new Hands<CallerAssignment, CallerWord>('caller.ts', CALLERS);
  let from = 0;
  let begun = 0;
  let kills = 0;
  try {
    const { db, place } = scene;
    await db.query('CREATE TABLE business (n integer PRIMARY KEY)');
    const worker = workers.take();
    worker.order({ kind: 'assign', ...place, concurrency: 10, prefetch: 20, ledger: place.results, plan: null });
    await Promise.all(
      Array.from({ length: CALLERS }, async () => {
        while (begun < transactions) {
          const caller = callers.take();
          const { results, schema, queue } = place;
          caller.order({ kind: 'assign', results, schema, queue, seed: random.below(2 ** 31), from, count: SLICE });
          from += SLICE;
          const { code, signal } = await caller.ended;
          begun += caller.words.length;
          if (signal === 'SIGKILL') kills += 1;
          else if (code !== 0) violations.push(`a caller ended with ${code}: ${caller.errors}`);
        }
      }),
    );
    await eventually(
      async () => {
        const open = await scene.count(
          `FROM (SELECT id::text FROM outbox UNION SELECT id FROM task_results WHERE state <> 'SUCCESS') AS open`,
        );
        const [waiting] = await scene.waiting();
        if (open !== 0 || waiting !== 0) throw new Error(`${open} tasks are open, ${waiting} messages wait`);
      },
      { timeoutMs: 60_000 },
    ).catch((error: unknown) => violations.push(String(error)));
    worker.order({ kind: 'stop' });
    const { code } = await worker.ended;
    if (code !== 0) violations.push(`the worker ended with ${code}: ${worker.errors}`);
    for (const word of worker.words) if (word.kind === 'violation') violations.push(word.violation);

    const wrong = async (what: string, query: string): Promise<void> => {
      const count = await scene.count(query);
      if (count !== 0) violations.push(`${count} ${what}`);
    };
    // Each execution with the number that it was called with.
    const ran = `(SELECT l.task_id, (r.args->>0)::integer AS n FROM ledger l JOIN task_results r ON r.id = l.task_id)`;
    const once = `(SELECT n FROM ${ran} AS ran GROUP BY n HAVING count(*) = 1)`;
    await wrong('rows without exactly one run', `FROM business WHERE n NOT IN ${once}`);
    await wrong('runs without a row', `FROM ${ran} AS ran WHERE n NOT IN (SELECT n FROM business)`);
    await wrong('runs without a record', `FROM ledger WHERE task_id NOT IN (SELECT id FROM task_results)`);
    await wrong('records without a row', `FROM task_results WHERE (args->>0)::integer NOT IN (SELECT n FROM business)`);
    await wrong('records without a run', `FROM task_results WHERE id NOT IN (SELECT task_id FROM ledger)`);
    await wrong(
      'tasks that were caused more than once',
      `FROM (SELECT FROM caused GROUP BY task_id HAVING count(*) > 1) c`,
    );
    const waiting = await scene.waiting();
    if (waiting.some((count) => count > 0)) violations.push(`messages left behind: ${waiting.join()}`);
    const committed = await scene.count('FROM business');
    return { begun, committed, kills, ms: performance.now() - started, violations };
  } finally {
    await callers.close();
    await scene.close();
  }
}
