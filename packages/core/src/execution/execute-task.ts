import { LovageError, show } from '../errors/lovage-error.js';
import type { TaskRequest } from '../message/task-request.js';
import { encodeError } from '../payload/error-record.js';
import { decodeArgs, encodeResult } from '../payload/payload-mapper.js';
import { TaskContext, type TaskContextHost } from '../task/task-context.js';
import type { TaskClass, TaskDefinition } from '../task/task-definition.js';
import type { Outcome } from './outcome.js';

/** Makes the instance that runs a task: the hook for dependency injection. May be asynchronous. */
export type TaskResolver = (taskClass: TaskClass) => unknown;

/** Without a resolver a task is made anew for each run. */
export const newInstance: TaskResolver = (taskClass) => new (taskClass as unknown as new () => object)();

export interface ExecutionHost extends TaskContextHost {
  readonly resolver: TaskResolver;
  /** The largest result, in bytes of JSON; null: nobody keeps it, and it is not even encoded. */
  readonly maxResultSize: number | null;
}

/**
 * Runs one call of a task: decodes its arguments, makes the instance, runs it inside its TaskContext, encodes what it returned. The one place
 * where a task's code is called. Total: whatever the task does becomes an Outcome.
 */
export async function executeTask(
  request: TaskRequest,
  definition: TaskDefinition,
  host: ExecutionHost,
): Promise<Outcome> {
  try {
    const result = await new TaskContext(request, host).run(() => call(request, definition, host.resolver));
    return {
      kind: 'success',
      resultJson: host.maxResultSize === null ? null : encodeResult(definition, result, host.maxResultSize),
    };
  } catch (error) {
    return { kind: 'failure', error: encodeError(error) };
  }
}

// Awaits only what is a promise: a plain task costs no extra turn of the event loop.
function call(request: TaskRequest, definition: TaskDefinition, resolver: TaskResolver): unknown {
  const args = decodeArgs(definition, request);
  const instance = resolver(definition.taskClass);
  if (args instanceof Promise || instance instanceof Promise) {
    return Promise.all([args, instance]).then(([ready, made]) => runOf(definition, made).apply(made, ready));
  }
  return runOf(definition, instance).apply(instance, args);
}

function runOf(definition: TaskDefinition, instance: unknown): (...args: unknown[]) => unknown {
  const run = (instance as { run?: unknown } | null | undefined)?.run;
  if (typeof run === 'function') return run as (...args: unknown[]) => unknown;
  throw new LovageError(
    'LOVAGE_TASK_DEFINITION',
    `the app's resolver gave no instance of ${definition.taskClass.name}: expected an object with a method run, got ${show(instance)}`,
  );
}
