import { Worker, type StopReport, type WorkerOptions } from '@lovage/worker';
import { appOption, retryOption } from '../app-options.js';
import { workerBannerOf, workerRows } from '../banner.js';
import { defineCommand } from '../command.js';
import { healthAddressOf, healthOptions } from '../health/health-options.js';
import { HealthServer } from '../health/health-server.js';
import { countOption, durationOption, namesOption } from '../option-values.js';
import { logOptions, runService, runUntilSignal, type Service } from '../run-service.js';
import { retryOf } from '../with-app.js';

/** `lovage worker`: runs tasks until it is told to stop. Its banner and its log go to standard error. */
export const command = defineCommand({
  build: (parser) =>
    healthOptions(logOptions(retryOption(appOption(parser))))
      .options({
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
      .example('$0 worker --logformat json', 'For log collectors')
      .example('$0 worker --health-port 8080', 'For the probes of Kubernetes'),

  run: (options, io) => {
    const concurrency = countOption(options.concurrency, '--concurrency');
    const prefetch = countOption(options.prefetch, '--prefetch');
    const queues = namesOption(options.queues, '--queues');
    const shutdownTimeout = durationOption(options.shutdownTimeout, '--shutdown-timeout');
    const healthAddress = healthAddressOf(options);
    return runService('worker', { flags: options, io }, async ({ app, loaded, logger, announce }) => {
      const workerOptions: WorkerOptions = {
        ...(concurrency !== undefined && { concurrency }),
        ...(prefetch !== undefined && { prefetch }),
        ...(queues !== undefined && { queues }),
        ...(shutdownTimeout !== undefined && { shutdownTimeout }),
        ...retryOf(options),
        logger,
      };
      announce(workerBannerOf(loaded, workerOptions), workerRows);
      const waitsMs = shutdownTimeout ?? loaded.settings.worker.shutdownTimeoutMs;
      const worker = new Worker(app, workerOptions);
      const notReady = (): string | null => (worker.consuming ? null : 'the worker does not consume');
      await using health = healthAddress === null ? null : await HealthServer.start({ notReady }, healthAddress);
      if (health !== null)
        logger.info(`Serving /livez and /readyz on port ${health.port}`, {
          event: 'health:serving',
          port: health.port,
        });
      const { abandoned } = await runUntilSignal(io, serviceOf(worker, { waitsMs, warn: (text) => logger.warn(text) }));
      return abandoned === 0 ? 'ok' : 'abandoned';
    });
  },
});

interface Patience {
  readonly waitsMs: number;
  readonly warn: (text: string) => void;
}

/** The first signal lets running tasks end, the second does not wait for them. */
function serviceOf(worker: Worker, { waitsMs, warn }: Patience): Service<StopReport> {
  return {
    start: () => worker.start(),
    stop: (signal, { again }) => {
      const { running } = worker;
      const stopping = worker.stop({ reason: signal, now: again });
      if (again) warn(`${signal} again: not waiting any longer`);
      else if (running > 0) {
        const tasks = `${running} running task${running === 1 ? '' : 's'}`;
        warn(`Waiting up to ${(waitsMs / 1000).toFixed(0)} s for ${tasks}; ${signal} again to stop at once`);
      }
      return stopping;
    },
  };
}
