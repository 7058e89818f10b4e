import { POOL_NAMES } from '@lovage/core';
import type { WorkerOptions } from '@lovage/worker';
import type { Argv } from 'yargs';
import { appOption, retryOption } from './app-options.js';
import { healthOptions, type HealthFlags } from './health/health-options.js';
import { choiceOption, countOption, durationOption, namesOption } from './option-values.js';
import { processOptions, type ProcessFlags } from './processes/process-options.js';
import { logOptions, type ServiceFlags } from './run-service.js';
import { appSourceOf } from './thread-loader.js';
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
    concurrency: {
      alias: 'c',
      type: 'string',
      requiresArg: true,
      describe: 'Tasks that run at once on the event loop',
    },
    pool: {
      type: 'string',
      requiresArg: true,
      describe: 'Where tasks run that do not say so themselves: async (the event loop) or threads',
    },
    threads: { type: 'string', requiresArg: true, describe: 'Tasks that run in threads at once; else one a CPU' },
    prefetch: {
      type: 'string',
      requiresArg: true,
      describe: 'Messages held for each queue; else what is finished in a second, at most 2,000',
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
  readonly pool: string | undefined;
  readonly threads: string | undefined;
  readonly prefetch: string | undefined;
  readonly shutdownTimeout: string | undefined;
}

/** What a worker is told to do otherwise than its app says. LOVAGE_USAGE for a value that cannot be. */
export function workerOptionsOf(
  flags: WorkerFlags,
  cwd: string,
): WorkerOptions & { readonly shutdownTimeout?: number } {
  const concurrency = countOption(flags.concurrency, '--concurrency');
  const pool = flags.pool === undefined ? undefined : choiceOption(flags.pool, POOL_NAMES, '--pool');
  const threads = countOption(flags.threads, '--threads');
  const prefetch = countOption(flags.prefetch, '--prefetch');
  const queues = namesOption(flags.queues, '--queues');
  const shutdownTimeout = durationOption(flags.shutdownTimeout, '--shutdown-timeout');
  return {
    ...(concurrency !== undefined && { concurrency }),
    ...(pool !== undefined && { pool }),
    ...(threads !== undefined && { threads }),
    source: appSourceOf(flags.app, cwd),
    ...(prefetch !== undefined && { prefetch }),
    ...(queues !== undefined && { queues }),
    ...(shutdownTimeout !== undefined && { shutdownTimeout }),
    ...retryOf(flags),
  };
}
