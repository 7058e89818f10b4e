import { LovageError, show } from '../errors/lovage-error.js';
import type { TaskRequest } from '../message/task-request.js';
import { encodeError } from '../payload/error-record.js';
import type { ErrorRecord } from '../results/task-record.js';
import { decodeArgs, encodeResult } from '../payload/payload-mapper.js';
import { DEFAULT_RETRY_POLICY, type RetryPolicy, retries, retryDelay } from '../task/retry-policy.js';
import { type RetrySignal, isRetrySignal } from '../task/retry-signal.js';
import { TaskContext, type TaskContextHost } from '../task/task-context.js';
import type { TaskClass, TaskDefinition, TaskHooks } from '../task/task-definition.js';
import type { Outcome } from './outcome.js';

/** Makes the instance that runs a task: the hook for dependency injection. May be asynchronous. */
export type TaskResolver = (taskClass: TaskClass) => unknown;

/** Without a resolver a task is made anew for each run. */
export const newInstance: TaskResolver = (taskClass) => new (taskClass as unknown as new () => object)();

export interface ExecutionHost extends TaskContextHost {
  readonly resolver: TaskResolver;
  /** The largest result, in bytes of JSON; null: nobody keeps it, and it is not even encoded. */
  readonly maxResultSize: number | null;
  /** The task was told to stop and has heard it: a failure now says nothing about the task, which will run again elsewhere. */
  readonly interrupted: boolean;
  /** Its end has been decided without it: what becomes of it now is of no interest to anybody. */
  readonly decided: boolean;
}

/** The instance that runs a task: its class's, or what the resolver made of that. */
type Instance = TaskHooks & { run(...args: readonly unknown[]): unknown };

/**
 * Runs one call of a task: makes the instance, decodes the arguments, runs it inside its TaskContext, encodes what it returned, decides whether what it threw is
 * retried, and tells the instance's hooks. The one place where a task's code is called. Total: whatever the task does becomes an Outcome; a promise of one only
 * where the task, or what it needs, is asynchronous.
 */
export function executeTask(
  request: TaskRequest,
  definition: TaskDefinition,
  host: ExecutionHost,
): Outcome | Promise<Outcome> {
  return new TaskRun(request, definition, host).start();
}

// Waits only for what is a promise: each costs a microsecond, and a turn of the queue of microtasks.
class TaskRun {
  readonly #request: TaskRequest;
  readonly #definition: TaskDefinition;
  readonly #host: ExecutionHost;
  readonly #context: TaskContext;
  #instance: Instance | null = null;
  /** What the resolver gives, arguments and results that do not fit will not fit next time either. */
  #isPermanent = false;

  constructor(request: TaskRequest, definition: TaskDefinition, host: ExecutionHost) {
    this.#request = request;
    this.#definition = definition;
    this.#host = host;
    this.#context = new TaskContext(request, host);
  }

  start(): Outcome | Promise<Outcome> {
    try {
      const result = this.#context.run(() => this.#make());
      return isThenable(result) ? this.#settled(result) : this.#returned(result);
    } catch (thrown) {
      return this.#threw(thrown);
    }
  }

  // Its own frame ends the stack of what is thrown later (withOwnFrames).
  async #settled(result: PromiseLike<unknown>): Promise<Outcome> {
    let value: unknown;
    try {
      value = await result;
    } catch (thrown) {
      return this.#threw(thrown);
    }
    return this.#returned(value);
  }

  #make(): unknown {
    const made = this.#host.resolver(this.#definition.taskClass);
    return made instanceof Promise ? made.then((instance) => this.#call(instance)) : this.#call(made);
  }

  #call(made: unknown): unknown {
    this.#isPermanent = true;
    const instance = (this.#instance = checked(this.#definition, made));
    const args = decodeArgs(this.#definition, this.#request);
    return args instanceof Promise ? args.then((decoded) => this.#run(instance, decoded)) : this.#run(instance, args);
  }

  #run(instance: Instance, args: readonly unknown[]): unknown {
    this.#isPermanent = false;
    return instance.run(...args);
  }

  #returned(result: unknown): Outcome | Promise<Outcome> {
    this.#context.end();
    const { maxResultSize, decided } = this.#host;
    try {
      this.#isPermanent = true;
      const resultJson = maxResultSize === null ? null : encodeResult(this.#definition, result, maxResultSize);
      const outcome: Outcome = { kind: 'success', resultJson };
      if (this.#instance?.onSuccess === undefined || decided) return outcome;
      return this.#observe('onSuccess', [result]).then(() => outcome);
    } catch (thrown) {
      return this.#threw(thrown);
    }
  }

  async #threw(thrown: unknown): Promise<Outcome> {
    this.#context.end();
    const [request, definition, host] = [this.#request, this.#definition, this.#host];
    const { outcome, error } = failureOf(thrown, { request, definition, host, isPermanent: this.#isPermanent });
    if (host.interrupted || host.decided) return outcome;
    if (outcome.kind === 'failure') await this.#observe('onFailure', [error]);
    else await this.#observe('onRetry', [error, { retries: request.retries + 1, delayMs: outcome.delayMs }]);
    return outcome;
  }

  // In a context of its own, as the run's has ended.
  async #observe(hook: keyof TaskHooks, args: readonly unknown[]): Promise<void> {
    const hooks = this.#instance as Record<string, ((...args: readonly unknown[]) => unknown) | undefined> | null;
    if (hooks?.[hook] === undefined) return;
    const context = new TaskContext(this.#request, this.#host);
    try {
      await context.run(() => hooks[hook]?.(...args));
    } catch (error) {
      this.#host.log.error(`${hook} of task ${this.#request.task} threw, which changes nothing`, { error });
    } finally {
      context.end();
    }
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { readonly then?: unknown } | null | undefined)?.then === 'function';
}

/** A run of a task that threw. */
export interface FailedRun {
  readonly request: TaskRequest;
  readonly definition: TaskDefinition;
  readonly host: Pick<ExecutionHost, 'canRetry' | 'interrupted' | 'runtime'>;
  /** It would fail in the same way if it were run again. */
  readonly isPermanent: boolean;
}

/** How a task ends whose run threw this: it is retried, if it is to be and still may. */
export function failedOutcome(thrown: unknown, run: FailedRun): Outcome {
  return failureOf(thrown, run).outcome;
}

function failureOf(
  thrown: unknown,
  { request, definition, host, isPermanent }: FailedRun,
): { readonly outcome: FailedOutcome; readonly error: unknown } {
  const asked = isRetrySignal(thrown) ? thrown : null;
  const policy = definition.retry ?? DEFAULT_RETRY_POLICY;
  const error = asked === null ? thrown : reasonOf(asked, policy);
  const isCovered = definition.retry !== null && host.canRetry && !isPermanent && retries(policy, thrown);
  if (host.interrupted || !(asked !== null || isCovered) || request.retries >= policy.max) {
    return { outcome: { kind: 'failure', error: describe(error) }, error };
  }
  const delayMs = asked?.delayMs ?? retryDelay(policy, request.retries, host.runtime.random());
  return { outcome: { kind: 'retry', error: describe(error), delayMs }, error };
}

/** What was thrown, its stacks as far down as the task's own code: what is below is ours or the event loop's, and says nothing. */
function describe(thrown: unknown): ErrorRecord {
  return withOwnFrames(encodeError(thrown));
}

function withOwnFrames({ cause, ...record }: ErrorRecord): ErrorRecord {
  const lines = record.stack?.split('\n') ?? [];
  const ours = lines.findIndex((line) => line.includes(__filename) || /^ +at TaskContext\.run /.test(line));
  const above = ours > 0 ? lines.slice(0, ours) : lines;
  // There only where the task went on after a timer while others were due as well.
  const end = above.findLastIndex((line) => !/^ +at .*\bnode:internal\/(?:timers|process\/)/.test(line));
  return {
    ...record,
    ...(lines.length > 0 && { stack: above.slice(0, end + 1).join('\n') }),
    ...(cause !== undefined && { cause: withOwnFrames(cause) }),
  };
}

type FailedOutcome = Extract<Outcome, { readonly kind: 'failure' | 'retry' }>;

/** Why the task asked for a retry; where it did not say, the error that it ends with once there are no more. */
function reasonOf({ cause }: RetrySignal, { max }: RetryPolicy): unknown {
  return (
    cause ??
    new LovageError(
      'LOVAGE_RETRIES_EXHAUSTED',
      `the task asked to be retried, which it may be ${max} times; say why with retry({ cause: error })`,
    )
  );
}

function checked(definition: TaskDefinition, instance: unknown): Instance {
  const run = (instance as { run?: unknown } | null | undefined)?.run;
  if (typeof run === 'function') return instance as Instance;
  throw new LovageError(
    'LOVAGE_TASK_DEFINITION',
    `the app's resolver gave no instance of ${definition.taskClass.name}: expected an object with a method run, got ${show(instance)}`,
  );
}
