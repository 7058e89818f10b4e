import type { ChildProcess } from 'node:child_process';
import type pg from 'pg';
import { type ProcessOptions, hasEnded, rssOf, start, stop } from './processes.js';

export interface Work extends ProcessOptions {
  readonly name: string;
  /** How many tasks the queue holds. */
  readonly tasks: number;
  /** Where the results go: id and finished_at at least. It is emptied first. */
  readonly table: string;
  readonly worker: readonly string[];
}

export interface Execution {
  /** Tasks, between the first commit and the last, by the database's clock: start-up is not in it. NaN if there was but one. */
  readonly perSecond: number;
  /** Resident memory when a quarter, a half, three quarters and all of the tasks were done. */
  readonly rssMb: readonly number[];
  /** From the start of the process to its first row. */
  readonly readyMs: number;
}

/** Runs a worker on a full queue until every task has its row. */
export async function execute(database: pg.Client, work: Work): Promise<Execution> {
  const { table, tasks } = work;
  await database.query(`truncate ${table}`);
  const started = performance.now();
  const worker = start(work.worker, work);
  try {
    const untilRows = (count: number): Promise<void> => waitForRows(database, { ...work, worker, count });
    await untilRows(1);
    const readyMs = performance.now() - started;
    const rssMb: number[] = [];
    for (const quarter of [1, 2, 3, 4]) {
      await untilRows(Math.floor((tasks * quarter) / 4));
      rssMb.push(rssOf(worker));
    }
    const { rows } = await database.query<{ seconds: number }>(
      `select extract(epoch from max(finished_at) - min(finished_at))::float8 as seconds from ${table}`,
    );
    // One commit for all of them measures nothing.
    return { perSecond: tasks / (rows[0]?.seconds || NaN), rssMb, readyMs };
  } finally {
    await stop(worker);
  }
}

interface Wait {
  readonly name: string;
  readonly table: string;
  readonly worker: ChildProcess;
  readonly count: number;
}

async function waitForRows(database: pg.Client, { name, table, worker, count }: Wait): Promise<void> {
  for (;;) {
    const { rows } = await database.query<{ n: string }>(`select count(*) as n from ${table}`);
    if (Number(rows[0]?.n) >= count) return;
    if (hasEnded(worker))
      throw new Error(`the worker of ${name} ended with ${worker.signalCode ?? `code ${worker.exitCode}`}`);
    await new Promise((resolve) => setTimeout(resolve, count === 1 ? 5 : 50));
  }
}
