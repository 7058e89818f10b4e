import { AsyncLocalStorage } from 'node:async_hooks';
import { resultsNotConfigured } from '../config/not-configured.js';
import { LovageError } from '../errors/lovage-error.js';
import type { TaskRequest } from '../message/task-request.js';
import { encodeWire } from '../payload/wire-value.js';
import { type Duration, parseDelay } from '../runtime/duration.js';
import type { Runtime } from '../runtime/runtime.js';
import { RetrySignal } from './retry-signal.js';
import type { TaskLogger } from './task-logger.js';

/** What the one who runs a task gives its context. Members may be getters: they are read only when the task asks. */
export interface TaskContextHost {
  readonly signal: AbortSignal;
  readonly log: TaskLogger;
  readonly runtime: Runtime;
  /** false: the app stores nothing, so that no retry could be kept. */
  readonly canRetry: boolean;
  /** Writes progress; called at most once a second. */
  reportProgress(json: string): void;
}

export interface RetryNowOptions {
  /** How long to wait, in place of the policy's back-off; at most 36500d. */
  readonly countdown?: Duration;
  /** Why: stored with the record, and the task's error once the retries are used up. */
  readonly cause?: unknown;
}

const PROGRESS_INTERVAL_MS = 1000;

// On globalThis, so that two copies of the package share one running task.
const STORAGE = Symbol.for('lovage.task.context');
const holder = globalThis as { [STORAGE]?: AsyncLocalStorage<TaskContext> };
const storage: AsyncLocalStorage<TaskContext> = (holder[STORAGE] ??= new AsyncLocalStorage());

/**
 * What a running task knows of itself.
 *
 * @example
 * const { signal, log, progress } = TaskContext.current();
 */
export class TaskContext {
  readonly #request: TaskRequest;
  readonly #host: TaskContextHost;
  #progressAt = -Infinity;
  #pending: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #ended = false;

  constructor(request: TaskRequest, host: TaskContextHost) {
    this.#request = request;
    this.#host = host;
  }

  /** The context of the task that runs here. Throws LOVAGE_NO_CONTEXT outside one. */
  static current(): TaskContext {
    const context = TaskContext.find();
    if (context === undefined) {
      throw new LovageError(
        'LOVAGE_NO_CONTEXT',
        'TaskContext.current() was called outside a running task: call it inside run(), or in what run() awaits',
      );
    }
    return context;
  }

  /** The context of the task that runs here; undefined outside one, and in what a task left behind when it ended (a timer, a pool). */
  static find(): TaskContext | undefined {
    const context = storage.getStore();
    return context === undefined || context.#ended ? undefined : context;
  }

  /** Runs `work` inside the context. Whoever calls it calls `end` once the work has settled. */
  run<T>(work: () => T): T {
    return storage.run(this, work);
  }

  /** For whoever called `run`: what the work has left behind is in no context any more. */
  end(): void {
    this.#ended = true;
    if (this.#timer !== undefined) clearTimeout(this.#timer);
  }

  get id(): string {
    return this.#request.id;
  }

  get task(): string {
    return this.#request.task;
  }

  /** From 0; rises with a retry or a requeue, not with a redelivery. */
  get attempt(): number {
    return this.#request.attempt;
  }

  /** How often the task has been retried. */
  get retries(): number {
    return this.#request.retries;
  }

  get parentId(): string | null {
    return this.#request.parentId;
  }

  get rootId(): string {
    return this.#request.rootId;
  }

  get queue(): string {
    return this.#request.queue;
  }

  /** The caller's own headers. */
  get headers(): TaskRequest['headers'] {
    return this.#request.headers;
  }

  /** Aborts at the task's soft time limit, where the task is revoked with `terminate`, and when the worker can wait no longer; its `reason` says why (LOVAGE_SOFT_TIME_LIMIT, LOVAGE_TASK_REVOKED, LOVAGE_STOPPED). Pass it on to fetch, timers, queries. */
  get signal(): AbortSignal {
    return this.#host.signal;
  }

  /** The worker's log, with the task's name and id. */
  get log(): TaskLogger {
    return this.#host.log;
  }

  /**
   * Reports progress: the record becomes PROGRESS with this value, any that could be a result. Written at most once a second, the newest
   * value last; not awaited, and lost if the database is away. Throws LOVAGE_PAYLOAD for a value that cannot travel.
   */
  get progress(): (value: unknown) => void {
    return (value) => this.#report(encodeWire(value, { what: 'progress' }));
  }

  /**
   * Ends this run and has the task run again: `throw`s, so that nothing after it happens. The policy of @Task says how long it waits (unless `countdown` does) and
   * how often; a task without one has the defaults (3 retries, 1 s doubling). Once they are used up the task ends FAILURE with `cause`, or else LOVAGE_RETRIES_EXHAUSTED.
   *
   * @throws LOVAGE_USAGE for a wrong countdown; LOVAGE_RESULTS_NOT_CONFIGURED in an app without results: the retry would be nowhere.
   * @example
   * if (response.status === 429) TaskContext.current().retry({ countdown: '30s', cause: new Error('asked to wait') });
   */
  retry(options: RetryNowOptions = {}): never {
    if (!this.#host.canRetry) throw resultsNotConfigured('a retry is kept in the outbox, beside the results');
    const { countdown, cause } = options;
    throw new RetrySignal(countdown === undefined ? null : parseDelay(countdown, 'countdown'), cause);
  }

  #report(json: string): void {
    if (this.#ended) return;
    this.#pending = json;
    if (this.#timer !== undefined) return;
    const wait = this.#progressAt + PROGRESS_INTERVAL_MS - this.#host.runtime.monotonic();
    if (wait <= 0) this.#writeProgress();
    else this.#timer = setTimeout(() => this.#writeProgress(), wait).unref();
  }

  #writeProgress(): void {
    this.#timer = undefined;
    if (this.#pending === undefined) return;
    this.#progressAt = this.#host.runtime.monotonic();
    this.#host.reportProgress(this.#pending);
    this.#pending = undefined;
  }
}
