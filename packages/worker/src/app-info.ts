import { hostname } from 'node:os';
import { LovageError, expected, maskUrl, workerQueues, type LoadedApp, type Settings } from '@lovage/core';
import { resolveLimits, type WorkerInfo, type WorkerOptions } from './worker-options.js';

/** What this process is called in records, events and headers: `<app>@<host>:<pid>`. */
export function processName(app: string): string {
  return `${app}@${hostname()}:${process.pid}`;
}

/** Where an app's messages go, for people; passwords are masked. */
export function brokerText({ broker }: Settings): string {
  return broker.urls.map(maskUrl).join(', ') || '(a transport of the app’s own)';
}

/** Where an app's records are, for people; null: nothing is stored. */
export function resultsText({ results }: Settings): string | null {
  if (results === null) return null;
  return results.url === '' ? '(a backend of the app’s own)' : maskUrl(results.url);
}

/** What a worker is about to do. Connects to nothing. @throws LOVAGE_USAGE for a number that cannot be, and where there is no queue to consume. */
export function workerInfoOf({ settings, tasks }: LoadedApp, options: WorkerOptions): WorkerInfo {
  const { concurrency, pool, threads, prefetch } = resolveLimits(options, settings);
  const needsThreads = pool === 'threads' || tasks.list().some((task) => task.pool === 'threads');
  const queues = [...new Set(options.queues ?? workerQueues(settings, tasks.list()))];
  if (queues.length === 0) {
    throw new LovageError('LOVAGE_USAGE', expected('queues', 'the names of one queue or more', queues));
  }
  return {
    name: processName(settings.name),
    app: settings.name,
    broker: brokerText(settings),
    results: resultsText(settings),
    queues,
    concurrency,
    pool,
    threads: needsThreads ? threads : null,
    prefetch,
    tasks: tasks.list().map(({ name }) => name),
  };
}
