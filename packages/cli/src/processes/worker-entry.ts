import { EXIT_CODES } from '../exit-codes.js';
import { processIo } from '../process-io.js';
import { reportError } from '../report-error.js';
import { runWorkerProcess } from './run-worker-process.js';

/** What each process of `lovage worker --processes` runs, forked by superviseWorkers; what to do comes as its first message. */

/** As in the lovage command: how long what an app left open may keep the process alive. */
const LINGER_MS = 500;

// Once the supervisor is gone nobody may be reading, and the tasks that run have to end all the same.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);

// worker-entry.js <app> <loglevel>
const [, , , loglevel] = process.argv;
const io = processIo();

void runWorkerProcess(io)
  .then(
    (end) => EXIT_CODES[end].code,
    (error: unknown) => reportError(error, io, { debug: loglevel === 'debug' }),
  )
  .then((code) => {
    process.exitCode = code;
    process.channel?.unref();
    setTimeout(() => process.exit(), LINGER_MS).unref();
  });
