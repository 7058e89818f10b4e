import { createRouter, type LoadedApp } from '@lovage/core';
import type { WorkerInfo } from '../worker-options.js';

/** How many tasks of a queue run at once: as many as the largest pool that runs any of those that are sent to it, as far as the app knows. */
export function slotsOf(
  queue: string,
  { settings, tasks }: LoadedApp,
  info: Pick<WorkerInfo, 'pool' | 'concurrency' | 'threads'>,
): number {
  const route = createRouter(settings);
  const sizes = { async: info.concurrency, threads: info.threads ?? info.concurrency };
  const own = tasks.list().filter(({ name, queue: taskQueue }) => route(name, taskQueue) === queue);
  return own.reduce((most, { pool }) => Math.max(most, sizes[pool ?? info.pool]), 0) || sizes[info.pool];
}
