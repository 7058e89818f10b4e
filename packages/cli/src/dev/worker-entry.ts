import { endWithParent } from '../processes/end-with-parent.js';
import { processIo } from '../process-io.js';
import { reportError } from '../report-error.js';
import { EXIT_CODES } from '../exit-codes.js';
import { runDevWorker } from './dev-worker.js';

/** What the worker of `lovage dev` runs: `worker-entry.js <app> <loglevel>`, forked by startDevProcess. */

/** As in the lovage command: how long what an app left open may keep the process alive. */
const LINGER_MS = 500;
/** More than a worker takes to stop that has heard of it. */
const ORPHAN_GRACE_MS = 6_000;

// Once `lovage dev` is gone nobody may be reading, and the tasks that run have to end all the same.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);

endWithParent(ORPHAN_GRACE_MS);
const [app = '', loglevel = ''] = process.argv.slice(2);
const io = processIo();

void runDevWorker({ app, loglevel, logformat: 'text' }, io)
  .then(
    (end) => EXIT_CODES[end].code,
    (error: unknown) => reportError(error, io, { debug: loglevel === 'debug' }),
  )
  .then((code) => {
    process.exitCode = code;
    process.channel?.unref();
    setTimeout(() => process.exit(), LINGER_MS).unref();
  });
