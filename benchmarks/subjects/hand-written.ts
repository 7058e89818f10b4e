import type { Ground } from '../runner/ground.js';
import { executeToCount, executeToRows } from '../support/execution.js';
import type { Command } from '../support/processes.js';
import { programme } from '../support/programmes.js';
import { deleteQueues } from '../support/queues.js';
import { type Load, rateOf, type Subject } from './subject.js';

export interface HandWrittenOptions {
  readonly name?: string;
  /** The message of Celery's protocol and a row of `task_results`, as Lovage has them. */
  readonly protocol?: boolean;
  /** false: raw amqplib, nothing is stored. */
  readonly store?: boolean;
  /** Messages held at once. */
  readonly prefetch?: number;
}

export interface HandWrittenSubject extends Subject {
  caller(mode: 'enqueue' | 'round-trip' | 'paced', load: Load & { readonly perSecond?: number }): Command;
  worker(load: Load): Command;
}

/** The loop written by hand with amqplib and pg. Makes its tables. */
export async function handWritten(ground: Ground, options: HandWrittenOptions = {}): Promise<HandWrittenSubject> {
  const { protocol = false, store = true, prefetch } = options;
  const { name = store ? 'hand-written' : 'raw amqplib' } = options;
  const { broker, results, database } = ground;
  const table = protocol ? 'hand_record' : 'hand_written';
  await database.query(
    `create table if not exists hand_written (id text primary key, state text, result jsonb, finished_at timestamptz);
     create table if not exists hand_record (like lovage.task_results including all)`,
  );
  const command = (mode: string, load: object): Command => ({
    args: [programme('hand-written.mjs'), mode],
    env: {
      BENCH_LOAD: JSON.stringify({ ...load, protocol, store, prefetch }),
      LOVAGE_BROKER: broker,
      LOVAGE_RESULTS: results,
    },
  });
  const worker = (load: Load): Command => command('work', load);
  return {
    name,
    caller: command,
    worker,
    enqueue: (load) => rateOf(command('enqueue', load)),
    execute: (load) => {
      const work = { name, tasks: load.tasks, worker: worker(load) };
      return store ? executeToRows(database, { ...work, table }) : executeToCount(work);
    },
    clear: async ({ queue }) => {
      await deleteQueues(broker, [queue]);
      await database.query(`truncate ${table}`);
    },
  };
}
