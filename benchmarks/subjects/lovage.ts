import { Lovage } from 'lovage';
import type { Ground } from '../runner/ground.js';
import { executeToCount, executeToRows } from '../support/execution.js';
import type { Command } from '../support/processes.js';
import { APP, CLI } from '../support/programmes.js';
import { deleteQueues, withSides } from '../support/queues.js';
import { type Load, rateOf, type Subject } from './subject.js';

export interface LovageOptions {
  readonly name?: string;
  /** Tasks at once in each process; null: what Lovage does untold. */
  readonly concurrency?: number | null;
  /** Messages that each process holds. Default: what it finishes in a second. */
  readonly prefetch?: number;
  readonly processes?: number;
  readonly ignoreResult?: boolean;
  /** Default: the ground's, which is RabbitMQ. */
  readonly broker?: string;
  readonly schema?: string;
}

/** With `--concurrency 2000` a worker runs as many at once as the loop written by hand does, and holds 2,000 from the start. */
export const CONCURRENCY = 2000;
const BYTES_AT_ONCE = 64 * 2 ** 20;

export interface LovageSubject extends Subject {
  readonly table: string;
  readonly env: NodeJS.ProcessEnv;
  caller(mode: 'enqueue' | 'round-trip' | 'paced', load: Load & { readonly perSecond?: number }): Command;
  worker(load: Load, flags?: readonly string[]): Command;
  /** Removes the messages, and leaves the results. */
  drop(load: Load): Promise<void>;
}

export function lovage(ground: Ground, options: LovageOptions = {}): LovageSubject {
  const { name = 'lovage', concurrency = CONCURRENCY, processes = 1, schema = 'lovage' } = options;
  const { prefetch, ignoreResult = false, broker = ground.broker } = options;
  const table = `${schema}.task_results`;
  const env = { LOVAGE_BROKER: broker, LOVAGE_RESULTS: ground.results, LOVAGE_RESULTS_SCHEMA: schema };
  const caller: LovageSubject['caller'] = (mode, load) => ({
    args: [APP, mode],
    env: { ...env, BENCH_LOAD: JSON.stringify({ ...load, ignoreResult }) },
  });
  const worker: LovageSubject['worker'] = (load, flags = ['--loglevel', 'warn']) => ({
    args: [
      ...[CLI, 'worker', '-A', APP, '--queues', load.queue, ...flags],
      ...(concurrency === null ? [] : ['--concurrency', String(atOnce(concurrency, load))]),
      ...(prefetch === undefined ? [] : ['--prefetch', String(prefetch)]),
      ...(processes === 1 ? [] : ['--processes', String(processes)]),
    ],
    env,
  });
  const drop: LovageSubject['drop'] = async ({ queue }) => {
    if (/^amqps?:/.test(broker)) await deleteQueues(broker, withSides(queue));
    else await ground.database.query(`truncate ${schema}.outbox`);
  };
  return {
    name,
    table,
    env,
    caller,
    worker,
    enqueue: (load) => rateOf(caller('enqueue', load)),
    execute: async (load) => {
      const work = { name, tasks: load.tasks, worker: worker(load) };
      return ignoreResult ? executeToCount(work) : executeToRows(ground.database, { ...work, table, processes });
    },
    drop,
    clear: async (load) => {
      await drop(load);
      await ground.database.query(`truncate ${table}`);
    },
  };
}

/** Makes the tables. */
export async function migrate(results: string, schema = 'lovage'): Promise<void> {
  const app = new Lovage({ name: 'bench', results: { url: results, schema } });
  await (await app.resultBackend())?.capabilities.schema?.migrate();
  await app.stop();
}

function atOnce(concurrency: number, { kind, size = 0 }: Load): number {
  return kind === 'text' ? Math.max(8, Math.min(concurrency, Math.floor(BYTES_AT_ONCE / size))) : concurrency;
}
