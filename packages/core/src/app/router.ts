import { DEFAULT_QUEUE_SETTINGS } from '../config/queue-types.js';
import type { Settings } from '../config/settings.js';
import type { TaskDefinition } from '../task/task-definition.js';
import type { QueueSpec } from '../transport/transport.js';

/** The queue of a task: a route's, else the one of @Task, else the default. `*` in a route stands for any characters. */
export type Router = (task: string, taskQueue: string | null) => string;

export function createRouter(settings: Pick<Settings, 'routes' | 'defaultQueue'>): Router {
  const exact = new Map(Object.entries(settings.routes));
  const globs = [...exact]
    .filter(([pattern]) => pattern.includes('*'))
    .map(([pattern, queue]) => ({ matches: globOf(pattern), queue }));
  return (task, taskQueue) =>
    exact.get(task) ?? globs.find(({ matches }) => matches.test(task))?.queue ?? taskQueue ?? settings.defaultQueue;
}

function globOf(pattern: string): RegExp {
  const parts = pattern.split(/\*+/).map((part) => part.replace(/[\\^$.|?+()[\]{}]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`, 'su');
}

/** How a queue is declared: as `queues` says, else as a quorum queue without priorities. */
export function queueSpec(settings: Pick<Settings, 'queues'>, name: string): QueueSpec {
  const own = Object.hasOwn(settings.queues, name) ? settings.queues[name] : undefined;
  return { name, ...(own ?? DEFAULT_QUEUE_SETTINGS) };
}

/**
 * The queues that a worker consumes, each once: `worker.queues`, else the default queue, those of the registered tasks, and those in `routes` and
 * `queues`. A queue with `declare: false` is somebody else's, such as a Python worker's: without a registered task that uses it, it is left alone.
 */
export function workerQueues(
  settings: Pick<Settings, 'queues' | 'routes' | 'defaultQueue' | 'worker'>,
  definitions: Iterable<Pick<TaskDefinition, 'name' | 'queue'>>,
): readonly string[] {
  if (settings.worker.queues !== null) return settings.worker.queues;
  const route = createRouter(settings);
  const own = [settings.defaultQueue, ...[...definitions].map(({ name, queue }) => route(name, queue))];
  const named = [...Object.values(settings.routes), ...Object.keys(settings.queues)];
  return [...new Set([...own, ...named.filter((name) => queueSpec(settings, name).declare)])];
}
