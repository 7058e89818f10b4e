import {
  decodeTask,
  taskIdOf,
  type Message,
  type TaskDefinition,
  type TaskRegistry,
  type TaskRequest,
} from '@lovage/core';

/** What is to be done with a message. `run` alone is run; the others are ends of their own. */
export type Decision =
  | { readonly kind: 'run'; readonly request: TaskRequest; readonly definition: TaskDefinition }
  | {
      readonly kind: 'revoked';
      readonly request: TaskRequest;
      readonly definition: TaskDefinition;
      readonly reason: string;
    }
  | { readonly kind: 'dead'; readonly id: string | null; readonly reason: string };

/**
 * Turns away what must not run: unreadable, of an unknown task, too early, expired. Total: never throws.
 *
 * @param now milliseconds since 1970, by this machine's clock: what `expires` and `eta` are compared with.
 */
export function admit(message: Message, tasks: TaskRegistry, now: number): Decision {
  const request = readTask(message);
  if (typeof request === 'string') return { kind: 'dead', id: taskIdOf(message), reason: request };
  const definition = tasks.get(request.task);
  if (definition === undefined) {
    return {
      kind: 'dead',
      id: request.id,
      reason: `no task named '${request.task}' is registered in this worker: add its module to the app's autodiscover, or send it to a queue whose workers know it`,
    };
  }
  if (hasExpired(request, now)) return { kind: 'revoked', request, definition, reason: 'expired' };
  if (request.eta !== null && request.eta.getTime() > now) {
    return {
      kind: 'dead',
      id: request.id,
      reason: `eta ${request.eta.toISOString()} is in the future, and this version cannot delay a task: send it without eta and countdown`,
    };
  }
  return { kind: 'run', request, definition };
}

/** Too late to start it. */
export function hasExpired({ expires }: TaskRequest, now: number): boolean {
  return expires !== null && expires.getTime() <= now;
}

/** The task of a message, or why it cannot be read. */
export function readTask(message: Message): TaskRequest | string {
  try {
    return decodeTask(message);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
