import { defineCase, type Figure, reading, type Turn } from '../runner/case.js';
import type { Ground } from '../runner/ground.js';
import { lovage, migrate } from '../subjects/lovage.js';
import { ownQueue } from '../subjects/subject.js';
import { clockOf, executeToRows } from '../support/execution.js';
import { messagesIn } from '../support/queues.js';
import { throwIfInterrupted } from '../support/processes.js';

export const growth = defineCase({
  name: 'growth',
  measures: 'what a task costs beside a long queue, and beside many rows of task_results',
  options: {
    'growth-tasks': { full: 30_000, small: 500, doc: 'tasks of a turn' },
    backlogs: { full: [1_000, 100_000, 1_000_000], small: [100, 2_000], doc: 'messages that wait beside them' },
    rows: { full: [1_000, 1_000_000, 20_000_000], small: [100, 5_000], doc: 'rows that are there before them' },
  },
  async *comparisons(ground, options) {
    const tasks = options['growth-tasks'];
    yield* besideBacklogs(ground, { tasks, sizes: options.backlogs });
    yield* besideRows(ground, { tasks, sizes: options.rows });
  },
});

interface Sizes {
  readonly tasks: number;
  readonly sizes: readonly number[];
}

/** The last size beside the first is what has a goal. */
const GOAL = { atMost: 1.15 };

export async function* besideBacklogs(ground: Ground, { tasks, sizes }: Sizes) {
  const subject = lovage(ground);
  const loads = sizes.map((size) => ({ size, name: `${size.toLocaleString('en')} waiting`, queue: ownQueue() }));
  try {
    yield {
      title: 'a task beside a queue of many',
      turns: loads.map(({ size, name, queue }): Turn => ({
        name,
        async take() {
          const missing = size + tasks - (await messagesIn(ground.broker, queue));
          await subject.enqueue({ queue, tasks: missing, how: 'bulk' });
          return await subject.execute({ queue, tasks });
        },
      })),
      figures: costs(loads.map(({ name }) => name)),
    };
  } finally {
    for (const { queue } of loads) await subject.clear({ queue, tasks });
  }
}

/** Each size in a schema of its own. */
export async function* besideRows(ground: Ground, { tasks, sizes }: Sizes) {
  const { results, database } = ground;
  const tables = sizes.map((size) => {
    const name = `${size.toLocaleString('en')} rows`;
    return { size, subject: lovage(ground, { name, schema: `rows_${size}` }) };
  });
  for (const { size, subject } of tables) {
    await migrate(results, `rows_${size}`);
    await fill(ground, { table: subject.table, size });
  }
  yield {
    title: 'a task beside many rows of task_results',
    turns: tables.map(({ size, subject }): Turn => ({
      name: subject.name,
      async take() {
        const load = { queue: ownQueue(), tasks };
        const { name, table } = subject;
        const since = await clockOf(database);
        try {
          await subject.enqueue({ ...load, how: 'bulk' });
          return await executeToRows(database, { name, tasks, table, worker: subject.worker(load), keep: true });
        } finally {
          await subject.drop(load);
          await database.query(`delete from ${table} where created_at >= '${since}'`);
          // As autovacuum would: of a large table it would read all indexes, and leave a cold cache to the next turn.
          if (tasks > size / 5) await database.query(`vacuum ${table}`);
        }
      },
    })),
    figures: costs(tables.map(({ subject }) => subject.name)),
  };
  for (const { size } of tables) await database.query(`drop schema rows_${size} cascade`);
}

const CHUNK = 1_000_000;

/** Results of the last five days, none due for deletion, with ids in the order of their times as a worker's are. */
async function fill(
  { database }: Ground,
  { table, size }: { readonly table: string; readonly size: number },
): Promise<void> {
  for (let from = 1; from <= size; from += CHUNK) {
    throwIfInterrupted();
    await database.query(
      `insert into ${table} (id, task, state, attempt, result, retries, queue, worker, root_id, created_at, started_at, finished_at)
       select id, 'bench.add', 'SUCCESS', 0, to_jsonb(n), 0, 'lovage', 'worker@host', id, at, at, at
       from (
         select n, at, format('%s-%s-7%s-8%s-%s', left(hex, 8), right(hex, 4), substr(hash, 1, 3), substr(hash, 4, 3), substr(hash, 7, 12)) as id
         from generate_series($1::bigint, $2::bigint) as n,
           lateral (select now() - interval '5 days' * (1 - n / ($3 + 1)::float8) as at) as times,
           lateral (select lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') as hex, md5(n::text) as hash) as texts
       ) as ids`,
      [from, Math.min(size, from + CHUNK - 1), size],
    );
  }
  await database.query(`vacuum (analyze) ${table}`);
  // What was written is not to be written to disk while others are measured; not every user may say so.
  await database.query('checkpoint').catch(() => undefined);
}

function costs(names: readonly string[]): readonly Figure[] {
  const [first = '', ...more] = names;
  return more.flatMap((name, index): Figure[] => {
    const cost = (figure: string, key: string): Figure => ({
      figure,
      unit: 'µs',
      of: reading(name, key),
      beside: reading(first, key),
    });
    const wall = cost('time of a task, one worker', 'cost');
    const last = index === more.length - 1;
    return [last ? { ...wall, goal: GOAL } : wall, cost('processor time of the worker, a task', 'cpu')];
  });
}
