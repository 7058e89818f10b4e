import type { ChildProcess } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import type pg from 'pg';
import type { Readings } from '../runner/case.js';
import { type Command, throwIfInterrupted, withService } from './processes.js';
import { cpuOf, rssOf } from './usage.js';

/** A worker that has done nothing for so long has lost a task. */
const STUCK_AFTER_MS = 60_000;

export interface Work {
  readonly name: string;
  /** How many tasks the queue holds, or how many of them are to be done. */
  readonly tasks: number;
  readonly worker: Command;
}

export interface RowWork extends Work {
  readonly table: string;
  readonly processes?: number;
  /** Rows that were there before stay; the table has a column created_at. Else it is emptied first. */
  readonly keep?: boolean;
}

/** What a worker has done at some moment. */
export interface Mark {
  readonly tasks: number;
  readonly at: number;
  readonly cpu: number;
}

/**
 * Runs a worker until `tasks` of its results are rows of `table`. `execute` is a second, between the first commit and the last by
 * the database's clock, without what the first one held: start-up is not in it; several processes are counted once each has begun. `cost` is its inverse, in µs a task; `cpu` is the worker's own, in µs a task; `rss` its memory at the end, in MB.
 */
export async function executeToRows(database: pg.Client, work: RowWork): Promise<Readings> {
  const { tasks, processes = 1, keep = false } = work;
  if (!keep) await database.query(`truncate ${work.table}`);
  const since = await clockOf(database);
  const rows = keep ? `(select * from ${work.table} where created_at >= '${since}') as rows` : work.table;
  return await withWorker(work, async (worker) => {
    worker.stdout?.resume();
    const done = async (): Promise<number> =>
      Number((await database.query<{ n: string }>(`select count(*) as n from ${rows}`)).rows[0]?.n);
    const first = await waitFor(work, { worker, done, tasks: 1 });
    const last = await waitFor(work, { worker, done, tasks });
    const rss = rssOf(worker.pid);
    const firsts = `select min(finished_at) as first from ${rows} ${processes > 1 ? 'group by worker' : ''}`;
    const measured = await database.query<{ tasks: string; seconds: number }>(
      `select count(*) filter (where finished_at > first) as tasks, extract(epoch from max(finished_at) - min(first))::float8 as seconds
       from ${rows}, (select max(first) as first from (${firsts}) as each) as start`,
    );
    // One commit for all of them measures nothing.
    const execute = Number(measured.rows[0]?.tasks) / (measured.rows[0]?.seconds || NaN);
    return { execute, cost: 1e6 / execute, rss, cpu: costOf(first, last) };
  });
}

/** The database's time, as text. */
export async function clockOf(database: pg.Client): Promise<string> {
  const { rows } = await database.query<{ now: string }>('select clock_timestamp()::text as now');
  return String(rows[0]?.now);
}

/** The same of a worker whose tasks leave no row: it prints a byte for each that is done (see programmes/load.mjs), by this process's clock. */
export async function executeToCount(work: Work): Promise<Readings> {
  return await withWorker(work, async (worker) => {
    let count = 0;
    let latest = 0;
    const starts: Mark[] = [];
    worker.stdout?.on('data', (chunk: Buffer) => {
      // Celery's banner comes here too.
      const done = chunk.reduce((sum, byte) => sum + (byte === 1 ? 1 : 0), 0);
      if (done === 0) return;
      count += done;
      latest = performance.now();
      if (starts.length === 0) starts.push({ tasks: count, at: latest, cpu: cpuOf(worker.pid) });
    });
    const last = await waitFor(work, { worker, done: async () => count, tasks: work.tasks });
    const [first = last] = starts;
    const execute = (count - first.tasks) / ((latest - first.at) / 1000 || NaN);
    return { execute, rss: rssOf(worker.pid), cpu: costOf(first, last) };
  });
}

async function withWorker<T>({ name, worker }: Work, use: (worker: ChildProcess) => Promise<T>): Promise<T> {
  return await withService({ name: `the worker of ${name}`, command: worker }, ({ child }) => use(child));
}

export interface Wait {
  readonly worker: ChildProcess;
  readonly done: () => Promise<number>;
  readonly tasks: number;
}

/** To count costs the database too, so it is asked seldom: when it may be over, by the rate so far. */
export async function waitFor({ name }: Pick<Work, 'name'>, { worker, done, tasks }: Wait): Promise<Mark> {
  const since = performance.now();
  let [progress, progressAt] = [0, since];
  for (;;) {
    const count = await done();
    const at = performance.now();
    if (count >= tasks) return { tasks: count, at, cpu: cpuOf(worker.pid) };
    throwIfInterrupted();
    if (count > progress) [progress, progressAt] = [count, at];
    if (at - progressAt > STUCK_AFTER_MS)
      throw new Error(`the worker of ${name} has been stuck for ${STUCK_AFTER_MS / 1000} s: ${count} of ${tasks} done`);
    const expected = count === 0 ? 0 : ((at - since) / count) * (tasks - count);
    await pause(tasks === 1 ? 5 : Math.min(2000, Math.max(20, expected * 0.8)));
  }
}

function costOf(first: Mark, last: Mark): number {
  return ((last.cpu - first.cpu) * 1e6) / (last.tasks - first.tasks);
}
