import type { Ground } from '../runner/ground.js';
import { executeToRows } from '../support/execution.js';
import { type Command, succeed } from '../support/processes.js';
import { programme } from '../support/programmes.js';
import { rateOf, type Subject } from './subject.js';

export interface HandWrittenPostgresOptions {
  readonly name?: string;
  /** The message that Lovage stores; nobody works on these. */
  readonly protocol?: boolean;
}

/** The loop written by hand with pg alone. Makes its tables. */
export async function handWrittenPostgres(
  { results, database }: Ground,
  { name = 'hand-written on PostgreSQL', protocol = false }: HandWrittenPostgresOptions = {},
): Promise<Subject> {
  const command = (mode: string, load: object): Command => ({
    args: [programme('hand-written-postgres.mjs'), mode],
    env: { BENCH_LOAD: JSON.stringify({ ...load, protocol }), LOVAGE_RESULTS: results },
  });
  await succeed(command('prepare', {}));
  return {
    name,
    enqueue: (load) => rateOf(command('enqueue', load)),
    execute: (load) => {
      const work = { name, tasks: load.tasks, worker: command('work', load) };
      return executeToRows(database, { ...work, table: 'hand_written_postgres' });
    },
    clear: async () => void (await database.query('truncate hand_queue, hand_protocol, hand_written_postgres')),
  };
}
