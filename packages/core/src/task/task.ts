import { type OptionCheck, checkOptions } from '../config/check-options.js';
import { isQueueName, queueName } from '../config/config-type.js';
import { LovageError } from '../errors/lovage-error.js';
import { isName } from '../payload/name.js';
import { argTypesOf } from './arg.js';
import { POOL_NAMES } from './pool-name.js';
import { rateLimitProblem, startIntervalOf } from './rate-limit.js';
import { retryPolicyOf, retryProblem } from './retry-policy.js';
import { resultTypeOf } from './returns.js';
import type { TaskClass, TaskDefinition, TaskOptions } from './task-definition.js';
import { timeLimitProblem, timeLimitsOf, timeLimitsProblem } from './time-limits.js';

/** Under Symbol.for, so that two copies of the package see each other's tasks. */
const TASK_OPTIONS = Symbol.for('lovage.task.options');

const definitions = new WeakMap<TaskClass, TaskDefinition>();

const CHECKS = {
  name: (value) => (isWord(value) ? null : '1 to 255 characters without white space'),
  queue: (value) => (isQueueName(value) ? null : queueName.expectation),
  ignoreResult: (value) => (typeof value === 'boolean' ? null : 'true or false'),
  params: (value) => (isParams(value) ? null : "the distinct names of run's parameters, such as ['x', 'y']"),
  retry: retryProblem,
  pool: (value) => ((POOL_NAMES as readonly unknown[]).includes(value) ? null : "'async' or 'threads'"),
  rateLimit: rateLimitProblem,
  softTimeLimit: timeLimitProblem,
  timeLimit: timeLimitProblem,
} satisfies { readonly [K in keyof Required<TaskOptions>]: OptionCheck };

/**
 * Makes a class a task: its `run` is what a worker executes.
 *
 * Works with `experimentalDecorators` and as a standard decorator; `@Arg` and `@Returns` need the former.
 * The class is not registered anywhere by this: `app.autodiscover` or `app.register` does that.
 *
 * @param options those of TaskOptions (`name` defaults to the class's own). Anything else throws LOVAGE_TASK_DEFINITION.
 * @example
 * @Task({ name: 'math.divide' })
 * export class Divide {
 *   run(x: number, y: number): number { return x / y; }
 * }
 */
export function Task(options: TaskOptions = {}): <C extends TaskClass>(target: C, context?: unknown) => void {
  return (target) => {
    const where = `@Task of class ${target.name || '(anonymous)'}`;
    checkOptions(options, where, { checks: CHECKS, code: 'LOVAGE_TASK_DEFINITION' });
    const limits = timeLimitsProblem(options);
    if (limits !== null) throw invalid(`${where}: ${limits}`);
    if (typeof (target.prototype as { run?: unknown }).run !== 'function') {
      throw invalid(`${where}: expected the class to have a method run(…), the task's work`);
    }
    if (options.name === undefined && target.name === '') {
      throw invalid(`${where}: an anonymous class needs a name: @Task({ name: 'billing.divide' })`);
    }
    Object.defineProperty(target, TASK_OPTIONS, { value: Object.freeze({ ...options }) });
  };
}

/** The definition of a class that carries @Task itself (a subclass of a task is none); null for anything else. Resolved once a class. */
export function taskDefinitionOf(value: unknown): TaskDefinition | null {
  if (typeof value !== 'function' || !Object.hasOwn(value, TASK_OPTIONS)) return null;
  const taskClass = value as unknown as TaskClass;
  let definition = definitions.get(taskClass);
  if (definition === undefined) {
    const options = (value as unknown as Record<typeof TASK_OPTIONS, TaskOptions>)[TASK_OPTIONS];
    definition = Object.freeze({
      name: options.name ?? value.name,
      taskClass,
      queue: options.queue ?? null,
      ignoreResult: options.ignoreResult ?? false,
      params: options.params ?? null,
      retry: options.retry === undefined ? null : retryPolicyOf(options.retry),
      pool: options.pool ?? null,
      startIntervalMs: options.rateLimit === undefined ? null : startIntervalOf(options.rateLimit),
      timeLimits: timeLimitsOf(options),
      argTypes: argTypesOf(taskClass),
      resultType: resultTypeOf(taskClass),
    });
    definitions.set(taskClass, definition);
  }
  return definition;
}

function isWord(value: unknown): boolean {
  return isName(value) && !/\s/.test(value);
}

function isParams(value: unknown): boolean {
  return Array.isArray(value) && value.every(isWord) && new Set(value).size === value.length;
}

function invalid(message: string): LovageError {
  return new LovageError('LOVAGE_TASK_DEFINITION', message);
}
