import { endWithParent } from '../processes/end-with-parent.js';
import { runForked } from '../processes/run-forked.js';
import { runDevWorker } from './dev-worker.js';

/** What the worker of `lovage dev` runs: `worker-entry.js <app> <loglevel>`, forked by startDevProcess. */

/** More than a worker takes to stop that has heard of it. */
const ORPHAN_GRACE_MS = 6_000;

endWithParent(ORPHAN_GRACE_MS);
const [app = '', loglevel = ''] = process.argv.slice(2);
runForked((io) => runDevWorker({ app, loglevel, logformat: 'text' }, io), loglevel);
