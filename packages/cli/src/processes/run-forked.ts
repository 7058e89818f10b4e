import type { CliIo } from '../cli-io.js';
import { EXIT_CODES, type ExitName } from '../exit-codes.js';
import { processIo } from '../process-io.js';
import { reportError } from '../report-error.js';

/** As in the lovage command: how long what an app left open may keep the process alive. */
const LINGER_MS = 500;

/** Does the work of a process that was forked to run tasks; its exit code says how that ended, and what it throws is reported as by the command. */
export function runForked(work: (io: CliIo) => Promise<ExitName>, loglevel: string | undefined): void {
  // Once the parent is gone nobody may be reading, and the tasks that run have to end all the same.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
  const io = processIo();
  void work(io)
    .then(
      (end) => EXIT_CODES[end].code,
      (error: unknown) => reportError(error, io, { debug: loglevel === 'debug' }),
    )
    .then((code) => {
      process.exitCode = code;
      process.channel?.unref();
      setTimeout(() => process.exit(), LINGER_MS).unref();
    });
}
