import type { PoolName } from './pool-name.js';
import type { RateLimit } from './rate-limit.js';
import type { Duration } from '../runtime/duration.js';
import type { RetryOptions, RetryPolicy } from './retry-policy.js';
import type { TimeLimits } from './time-limits.js';

/** A class whose instances run a task. */
export type TaskClass<Args extends readonly never[] = readonly never[], Result = unknown> = abstract new (
  ...dependencies: never[]
) => { run(...args: Args): Result };

/** The arguments of a task class's `run`. */
export type TaskArgs<C extends TaskClass> = Parameters<InstanceType<C>['run']>;

/** What a task class's `run` returns, awaited. */
export type TaskResult<C extends TaskClass> = Awaited<ReturnType<InstanceType<C>['run']>>;

/** The options of @Task. */
export interface TaskOptions {
  /** The name on the wire, such as `billing.divide`; the class's own name if absent. 1 to 255 characters without white space. */
  readonly name?: string;
  /** The queue it is sent to, unless a route or the call says otherwise. */
  readonly queue?: string;
  /** true: neither result nor failure is stored. Default false. */
  readonly ignoreResult?: boolean;
  /** The names of `run`'s parameters, in order, for callers that pass keyword arguments (Python). */
  readonly params?: readonly string[];
  /** When the task is run again after it threw. Without it: never, unless the task asks (`TaskContext.retry`). */
  readonly retry?: RetryOptions;
  /** Where it runs. `threads`: in a thread of its own, for work that keeps a processor busy. Default: `worker.pool`. */
  readonly pool?: PoolName;
  /** How often one worker process starts it, such as '10/s': evenly spaced, however many wait. Unset: as often as there are slots. */
  readonly rateLimit?: RateLimit;
  /** How long one run may take until its signal aborts (LOVAGE_SOFT_TIME_LIMIT), 1 ms to 24d: it may clean up, and what it throws then is its failure. Default: no limit. */
  readonly softTimeLimit?: Duration;
  /** How long one run may take until it ends FAILURE (LOVAGE_TIME_LIMIT) whatever it does, 1 ms to 24d. Neither retried nor told to `onFailure`. Default: no limit. */
  readonly timeLimit?: Duration;
}

/**
 * What a task class may have beside `run`. Called in the worker inside the task's context and awaited, before the end is committed: like `run` itself, more than
 * once if the task runs more than once. What they throw is logged and changes nothing. Not called for a task that never ran.
 */
export interface TaskHooks<Result = unknown> {
  /** The task returned, and its result can be stored. */
  onSuccess?(result: Result): unknown;
  /** The task failed for good. */
  onFailure?(error: unknown): unknown;
  /** The task failed and will be run again. */
  onRetry?(error: unknown, next: NextRetry): unknown;
}

/** The run that follows a failed one. */
export interface NextRetry {
  /** Which retry it is, from 1. */
  readonly retries: number;
  readonly delayMs: number;
}

/** A DTO class: what class-transformer revives. */
export type DtoClass<T = object> = new (...args: never[]) => T;

/** How one argument or the result is revived: nothing declared, one value of the type, or an array of them. */
export interface ValueType {
  /** String, Number, Boolean, Date, Buffer … or a DTO class; `Object` when TypeScript could not name it. */
  readonly type: DtoClass | BuiltInType;
  readonly isArray: boolean;
}

export type BuiltInType =
  | StringConstructor
  | NumberConstructor
  | BooleanConstructor
  | BigIntConstructor
  | DateConstructor
  | ObjectConstructor
  | ArrayConstructor
  | MapConstructor
  | SetConstructor
  | typeof Uint8Array;

/** All that is known of one task, resolved and frozen. */
export interface TaskDefinition {
  readonly name: string;
  readonly taskClass: TaskClass;
  readonly queue: string | null;
  readonly ignoreResult: boolean;
  readonly params: readonly string[] | null;
  /** By position; null where nothing is declared (plain JSON and the wire's tags). */
  readonly argTypes: readonly (ValueType | null)[];
  readonly resultType: ValueType | null;
  /** null: a failure is final. */
  readonly retry: RetryPolicy | null;
  /** null: in the worker's default pool. */
  readonly pool: PoolName | null;
  /** The least time between two starts in one process, in milliseconds; null: none. */
  readonly startIntervalMs: number | null;
  /** null: it may take as long as it does. */
  readonly timeLimits: TimeLimits | null;
}
