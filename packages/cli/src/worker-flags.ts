import type { WorkerOptions } from '@lovage/worker';
import type { Argv } from 'yargs';
import { appOption, retryOption } from './app-options.js';
import { healthOptions, type HealthFlags } from './health/health-options.js';
import { countOption, durationOption, namesOption } from './option-values.js';
import { processOptions, type ProcessFlags } from './processes/process-options.js';
import { logOptions, type ServiceFlags } from './run-service.js';
import { retryOf } from './with-app.js';

/** All that `lovage worker` takes. */
export function workerFlags(parser: Argv) {
  return processOptions(healthOptions(logOptions(retryOption(appOption(parser))))).options({
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
  });
}

export interface WorkerFlags extends ServiceFlags, HealthFlags, ProcessFlags {
  readonly noRetry: boolean;
  readonly queues: string | undefined;
  readonly concurrency: string | undefined;
  readonly prefetch: string | undefined;
  readonly shutdownTimeout: string | undefined;
}

/** What a worker is told to do otherwise than its app says. LOVAGE_USAGE for a value that cannot be. */
export function workerOptionsOf(flags: WorkerFlags): WorkerOptions & { readonly shutdownTimeout?: number } {
  const concurrency = countOption(flags.concurrency, '--concurrency');
  const prefetch = countOption(flags.prefetch, '--prefetch');
  const queues = namesOption(flags.queues, '--queues');
  const shutdownTimeout = durationOption(flags.shutdownTimeout, '--shutdown-timeout');
  return {
    ...(concurrency !== undefined && { concurrency }),
    ...(prefetch !== undefined && { prefetch }),
    ...(queues !== undefined && { queues }),
    ...(shutdownTimeout !== undefined && { shutdownTimeout }),
    ...retryOf(flags),
  };
}
