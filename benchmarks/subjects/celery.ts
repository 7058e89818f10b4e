import type { CeleryPeer } from '../../test/interop/celery-peer.js';
import type { Ground } from '../runner/ground.js';
import type { Command } from '../support/processes.js';
import { PROGRAMMES } from '../support/programmes.js';
import { deleteQueues } from '../support/queues.js';
import { peer } from './peer.js';
import type { Load, Subject } from './subject.js';

export interface CeleryOptions {
  readonly pool: 'solo' | 'prefork';
  /** Whether results go to PostgreSQL, or nowhere. */
  readonly results: boolean;
}

/** Children of a prefork pool. */
const CHILDREN = 2;

/** Celery on a durable classic queue: Debian's cannot consume quorum queues. Its publisher does not wait for confirms, as it comes. */
export function celery(python: CeleryPeer, ground: Ground, options: CeleryOptions): Subject {
  return peer({
    name: `Celery ${options.pool}, ${options.results ? 'PostgreSQL results' : 'no results'}`,
    caller: (load) => celeryCommand(python, ground, { load, ...options, args: ['celery_app.py'] }),
    worker: (load) => celeryWorker(python, ground, { load, ...options }),
    clear: async ({ queue }) => {
      await deleteQueues(ground.broker, [queue], [queue]);
      await ground.database.query('drop table if exists celery_taskmeta, celery_tasksetmeta');
    },
  });
}

export function celeryWorker(
  python: CeleryPeer,
  ground: Ground,
  { load, pool, results, loglevel = 'warning' }: CeleryOptions & { readonly load: Load; readonly loglevel?: string },
): Command {
  const quiet = ['--without-gossip', '--without-mingle', '--without-heartbeat', '--loglevel', loglevel];
  const size = pool === 'prefork' ? ['--concurrency', String(CHILDREN)] : [];
  const args = ['-m', 'celery', '-A', 'celery_app', 'worker', '--pool', pool, ...size, ...quiet];
  return celeryCommand(python, ground, { load, results, args });
}

interface CeleryCommand {
  readonly load: Load;
  readonly results: boolean;
  readonly args: readonly string[];
}

function celeryCommand({ python }: CeleryPeer, ground: Ground, { load, results, args }: CeleryCommand): Command {
  return {
    program: python,
    args,
    cwd: PROGRAMMES,
    env: {
      C_FORCE_ROOT: '1',
      PYTHONDONTWRITEBYTECODE: '1',
      LOVAGE_BROKER: ground.broker,
      BENCH_LOAD: JSON.stringify(load),
      ...(results && { BENCH_CELERY_RESULTS: ground.results.replace(/^postgres(ql)?:/, 'db+postgresql:') }),
    },
  };
}
