import type { Ground } from '../runner/ground.js';
import { succeed } from '../support/processes.js';
import { programme } from '../support/programmes.js';
import { peer } from './peer.js';
import type { Subject } from './subject.js';

/** pg-boss in the ground's database. Makes its tables. */
export async function pgBoss({ results, database }: Ground): Promise<Subject> {
  const command = (mode: string) => (load: object) => ({
    args: [programme('pg-boss.mjs'), mode],
    env: { BENCH_LOAD: JSON.stringify(load), LOVAGE_RESULTS: results },
  });
  await succeed(command('prepare')({}));
  return peer({
    name: 'pg-boss',
    caller: command('enqueue'),
    worker: command('work'),
    clear: async () => void (await database.query('truncate pgboss.job')),
  });
}
