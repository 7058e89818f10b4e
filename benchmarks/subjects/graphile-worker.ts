import type { Ground } from '../runner/ground.js';
import { succeed } from '../support/processes.js';
import { programme } from '../support/programmes.js';
import { peer } from './peer.js';
import type { Subject } from './subject.js';

/** graphile-worker in the ground's database. Makes its tables. */
export async function graphileWorker({ results, database }: Ground): Promise<Subject> {
  const command = (mode: string) => (load: object) => ({
    args: [programme('graphile-worker.mjs'), mode],
    env: { BENCH_LOAD: JSON.stringify(load), LOVAGE_RESULTS: results },
  });
  await succeed(command('prepare')({}));
  return peer({
    name: 'graphile-worker',
    caller: command('enqueue'),
    worker: command('work'),
    clear: async () => void (await database.query('truncate graphile_worker._private_jobs')),
  });
}
