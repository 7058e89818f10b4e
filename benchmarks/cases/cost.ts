import { type Comparison, defineCase, type Figure, reading, type Readings } from '../runner/case.js';
import type { Ground } from '../runner/ground.js';
import { lovage } from '../subjects/lovage.js';
import { type Load, ownQueue } from '../subjects/subject.js';
import { waitFor } from '../support/execution.js';
import { lastLineOf, withService } from '../support/processes.js';
import { cpuOf, listenerOn } from '../support/usage.js';

const SUBJECT = 'lovage';

export const cost = defineCase({
  name: 'cost',
  measures: 'what a task costs each process that has part in it, and the disk',
  options: { tasks: { full: 100_000, small: 1_000, doc: 'tasks of a turn' } },
  async *comparisons(ground, { tasks }) {
    yield costs(ground, tasks);
  },
});

function costs(ground: Ground, tasks: number): Comparison {
  const of = (figure: string, key: string, unit: Figure['unit'] = 'µs'): Figure => ({
    figure,
    unit,
    of: reading(SUBJECT, key),
  });
  return {
    title: 'a no-op task, its result stored',
    turns: [{ name: SUBJECT, take: () => costOf(ground, tasks) }],
    figures: [
      of('processor time of the caller', 'caller'),
      of('processor time of RabbitMQ, to take the message', 'taken'),
      of('processor time of RabbitMQ, to deliver it', 'delivered'),
      of('processor time of the worker', 'worker'),
      of('processor time of PostgreSQL', 'database'),
      of('WAL of PostgreSQL', 'wal', 'B'),
      of('a record with its indexes', 'record', 'B'),
    ],
  };
}

/** The servers' processor time is read where they run on this machine. */
async function costOf(ground: Ground, tasks: number): Promise<Readings> {
  const subject = lovage(ground);
  const load: Load = { queue: ownQueue(), tasks };
  const broker = serverOf(ground.broker, 5672);
  const postgres = serverOf(ground.results, 5432);
  try {
    const before = broker();
    const { cpu: caller } = await lastLineOf<{ readonly cpu: number }>(subject.caller('enqueue', load));
    const taken = ((broker() - before) * 1e6) / tasks;
    const worker = { name: 'the worker', command: subject.worker(load) };
    const executed = await withService(worker, async ({ child }) => {
      child.stdout?.resume();
      const { database } = ground;
      const one = async <T>(text: string): Promise<T> => (await database.query<{ value: T }>(text)).rows[0]?.value as T;
      const done = async (): Promise<number> => Number(await one(`select count(*) as value from ${subject.table}`));
      const at = async (count: number) => ({
        ...(await waitFor({ name: SUBJECT }, { worker: child, done, tasks: count })),
        delivered: broker(),
        database: postgres(),
        wal: Number(await one(`select pg_current_wal_insert_lsn() - '0/0' as value`)),
      });
      const first = await at(1);
      const last = await at(tasks);
      const each = (key: 'cpu' | 'delivered' | 'database' | 'wal'): number =>
        (last[key] - first[key]) / (last.tasks - first.tasks);
      return {
        worker: each('cpu') * 1e6,
        delivered: each('delivered') * 1e6,
        database: each('database') * 1e6,
        wal: each('wal'),
        record: Number(await one(`select pg_total_relation_size('${subject.table}') as value`)) / last.tasks,
      };
    });
    return { caller, taken, ...executed };
  } finally {
    await subject.clear(load);
  }
}

function serverOf(url: string, standardPort: number): () => number {
  const pid = listenerOn(Number(new URL(url).port || standardPort));
  return () => cpuOf(pid);
}
