import type { ChildProcess } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { type Comparison, defineCase, type Figure, reading, type Readings, type Turn } from '../runner/case.js';
import type { Ground } from '../runner/ground.js';
import { lovage, type LovageSubject } from '../subjects/lovage.js';
import { ownQueue, turnOf } from '../subjects/subject.js';
import { waitFor } from '../support/execution.js';
import { withService } from '../support/processes.js';
import { messagesIn } from '../support/queues.js';
import { executed } from './throughput.js';

export const prefetch = defineCase({
  name: 'prefetch',
  measures: 'the prefetch that adapts beside fixed ones: short tasks, and long ones that two workers share',
  options: {
    tasks: { full: 10_000, small: 500, doc: 'no-op tasks of a turn' },
    slots: { full: [1, 10, 100], small: [1], doc: 'tasks at once' },
    long: { full: 200, small: 10, doc: 'tasks of a second, behind the no-op tasks' },
    look: { full: 6_000, small: 500, doc: 'milliseconds after which is read what both workers hold' },
  },
  async *comparisons(ground, { tasks, slots, long, look }) {
    for (const concurrency of slots) yield short(ground, { tasks, concurrency });
    yield shared(ground, { tasks, long, look });
  },
});

const ADAPTIVE = 'adaptive';
const MANY = 2_000;
/** Of each of the two workers that share what is long. */
const SLOTS = 5;

function subjects(ground: Ground, concurrency: number): readonly LovageSubject[] {
  return [
    lovage(ground, { name: ADAPTIVE, concurrency }),
    ...[4 * concurrency, MANY].map((count) => lovage(ground, { name: fixedAt(count), concurrency, prefetch: count })),
  ];
}

function short(ground: Ground, { tasks, concurrency }: { readonly tasks: number; readonly concurrency: number }) {
  return {
    title: `no-op tasks, ${concurrency} at once`,
    turns: subjects(ground, concurrency).map((subject) => turnOf(subject, { tasks })),
    figures: [4 * concurrency, MANY].map((count) =>
      executed(`execute, no-op, ${concurrency} at once`, ADAPTIVE, fixedAt(count)),
    ),
  } satisfies Comparison;
}

interface MixedLoad {
  readonly tasks: number;
  readonly long: number;
  readonly look: number;
}

/** A worker that has run short tasks, and one that joins it when the first long one has ended. */
function shared(ground: Ground, load: MixedLoad): Comparison {
  const figures = (figure: string, key: string, unit: Figure['unit']): readonly Figure[] =>
    [4 * SLOTS, MANY].map((count) => ({
      ...{ figure, unit },
      of: reading(ADAPTIVE, key),
      beside: reading(fixedAt(count), key),
    }));
  return {
    title: `${load.long} tasks of a second behind ${load.tasks.toLocaleString('en')} no-op tasks: a worker of ${SLOTS} slots, joined by another when the first long task has ended`,
    turns: subjects(ground, SLOTS).map((subject) => sharing(ground, subject, load)),
    figures: [
      ...figures('from the first end of a long task to the last', 'seconds', 's'),
      ...figures('long tasks of the busier worker', 'most', 'tasks'),
      ...figures(`held by both, ${load.look / 1_000} s after the second was started`, 'held', 'tasks'),
    ],
  };
}

function sharing(ground: Ground, subject: LovageSubject, { tasks, long, look }: MixedLoad): Turn {
  const { name, table } = subject;
  const ends = `select worker, finished_at from ${table} where task = 'bench.sleep'`;
  const done = async (): Promise<number> => (await ground.database.query(ends)).rowCount ?? 0;
  return {
    name,
    async take() {
      const load = { queue: ownQueue(), tasks: long, kind: 'sleep' as const, size: 1_000 };
      const withWorker = <T>(use: (worker: ChildProcess) => Promise<T>): Promise<T> =>
        withService({ name: `a worker of ${name}`, command: subject.worker(load) }, ({ child }) => {
          child.stdout?.resume();
          return use(child);
        });
      const held = async (): Promise<number> => {
        await pause(look);
        return long - (await done()) - (await messagesIn(ground.broker, load.queue));
      };
      try {
        await subject.enqueue({ queue: load.queue, tasks });
        await subject.enqueue(load);
        return await withWorker(async (worker) => {
          await waitFor(subject, { worker, done, tasks: 1 });
          return withWorker(async () => {
            const [later] = await Promise.all([held(), waitFor(subject, { worker, done, tasks: long })]);
            return { held: later, ...(await sharesOf(ground, ends)) };
          });
        });
      } finally {
        await subject.clear(load);
      }
    },
  };
}

async function sharesOf({ database }: Ground, ends: string): Promise<Readings> {
  const { rows } = await database.query<{ most: string; seconds: number }>(
    `select max(count) as most, extract(epoch from max(last) - min(first))::float8 as seconds
     from (select count(*), min(finished_at) as first, max(finished_at) as last from (${ends}) as ends group by worker) as shares`,
  );
  return { most: Number(rows[0]?.most), seconds: rows[0]?.seconds ?? NaN };
}

function fixedAt(count: number): string {
  return `fixed at ${count.toLocaleString('en')}`;
}
