import { isLovageError, type LoadedApp, type Lovage } from '@lovage/core';
import { LOG_LEVELS, Worker, createLogger, guardProcess, logEvents, type WorkerOptions } from '@lovage/worker';
import { appOption, retryOption } from '../app-options.js';
import { bannerOf, describeBanner } from '../banner.js';
import type { CliIo } from '../cli-io.js';
import { defineCommand } from '../command.js';
import type { ExitName } from '../exit-codes.js';
import { exitOf } from '../exit-of.js';
import { choiceOption, countOption, durationOption, namesOption } from '../option-values.js';
import { causesOf, framesOf, messageOf } from '../report-error.js';
import { showsColor, stderrOf } from '../terminal.js';
import { retryOf, withApp } from '../with-app.js';

const LOG_FORMATS = ['text', 'json'] as const;

/** `lovage worker`: runs tasks until it is told to stop. Its banner and its log go to standard error. */
export const command = defineCommand({
  build: (parser) =>
    retryOption(appOption(parser))
      .options({
        loglevel: {
          alias: 'l',
          type: 'string',
          requiresArg: true,
          default: 'info',
          describe: `One of ${LOG_LEVELS.join(', ')}`,
        },
        logformat: {
          type: 'string',
          requiresArg: true,
          default: 'text',
          describe: 'text, or json: one document a line',
        },
        queues: {
          alias: 'Q',
          type: 'string',
          requiresArg: true,
          describe: "These queues, as a,b; else all of the app's",
        },
        concurrency: { alias: 'c', type: 'string', requiresArg: true, describe: 'Tasks that run at once' },
        prefetch: {
          type: 'string',
          requiresArg: true,
          describe: 'Messages held for each queue; else 4 × concurrency, at most 2,000',
        },
        'shutdown-timeout': {
          type: 'string',
          requiresArg: true,
          describe: "How long running tasks may go on at a stop, such as '25s'",
        },
      })
      .example('$0 worker', 'The app in ./app.ts, ./app.js …')
      .example('$0 worker -A ./src/app.ts -l debug', 'Another app, and every detail')
      .example('$0 worker -Q slow,images -c 10', 'Two queues, ten tasks at once')
      .example('$0 worker --logformat json', 'For log collectors'),

  run: (options, io) => {
    const level = choiceOption(options.loglevel, LOG_LEVELS, '--loglevel');
    const format = choiceOption(options.logformat, LOG_FORMATS, '--logformat');
    const concurrency = countOption(options.concurrency, '--concurrency');
    const prefetch = countOption(options.prefetch, '--prefetch');
    const queues = namesOption(options.queues, '--queues');
    const shutdownTimeout = durationOption(options.shutdownTimeout, '--shutdown-timeout');
    const logger = createLogger({ level, format, color: showsColor(io.stderr, io.env), stream: io.stderr });
    const run = withApp(options.app, io, async (app) => {
      const loaded = await app.load();
      const workerOptions: WorkerOptions = {
        ...(concurrency !== undefined && { concurrency }),
        ...(prefetch !== undefined && { prefetch }),
        ...(queues !== undefined && { queues }),
        ...(shutdownTimeout !== undefined && { shutdownTimeout }),
        ...retryOf(options),
        logger,
      };
      const ends = [logEvents(app.events, logger), guardProcess(logger)];
      try {
        const banner = bannerOf(loaded, workerOptions);
        if (format === 'json') logger.info('lovage worker starting', { event: 'worker:starting', ...banner });
        else for (const text of describeBanner(banner, stderrOf(io).colors)) stderrOf(io).line(text);
        return await runUntilSignal(app, { loaded, workerOptions, io });
      } finally {
        for (const end of ends) end();
      }
    });
    // Where each line is JSON, so is the error that ends the worker.
    return format === 'json' ? run.catch((error: unknown) => logFailure(error, logger)) : run;
  },
});

function logFailure(error: unknown, logger: ReturnType<typeof createLogger>): ExitName {
  logger.error(messageOf(error), {
    event: 'worker:failed',
    ...(isLovageError(error) ? { code: error.code } : { stack: framesOf(error) }),
    causes: causesOf(error).map((cause) => messageOf(cause, { named: true })),
  });
  return exitOf(error);
}

interface Work {
  readonly loaded: LoadedApp;
  readonly workerOptions: WorkerOptions;
  readonly io: CliIo;
}

/** The first signal lets running tasks end, the second does not wait for them; one during the start ends it at once. */
async function runUntilSignal(app: Lovage, { loaded, workerOptions, io }: Work): Promise<ExitName> {
  const worker = new Worker(app, workerOptions);
  const waits = `${(Number(workerOptions.shutdownTimeout ?? loaded.settings.worker.shutdownTimeoutMs) / 1000).toFixed(0)} s`;
  let signals = 0;
  let release = (): void => {};
  const signalled = new Promise<void>((resolve) => (release = resolve));
  const unsubscribe = io.onStopSignal((signal) => {
    const first = ++signals === 1;
    const tasks = `${worker.running} running task${worker.running === 1 ? '' : 's'}`;
    void worker.stop({ reason: signal, now: !first });
    if (!first) workerOptions.logger?.warn(`${signal} again: not waiting any longer`);
    else if (worker.running > 0)
      workerOptions.logger?.warn(`Waiting up to ${waits} for ${tasks}; ${signal} again to stop at once`);
    release();
  });
  try {
    const starting = worker.start();
    // After a signal nobody waits for it any more.
    starting.catch(() => {});
    await Promise.race([starting, signalled]);
    await signalled;
    const { abandoned } = await worker.stop();
    return abandoned === 0 ? 'ok' : 'abandoned';
  } finally {
    unsubscribe();
  }
}
