import { LovageError } from '../errors/lovage-error.js';
import { type RevokeOptions, revokeTasks } from '../revocations/revoke-tasks.js';
import { type Duration, parseDuration } from '../runtime/duration.js';
import { isFinalState, type TaskState } from '../state/task-state.js';
import { TaskContext } from '../task/task-context.js';
import type { TaskDefinition } from '../task/task-definition.js';
import type { ResultBackend } from './result-backend.js';
import type { TaskRecord } from './task-record.js';
import { snapshotOf, type TaskSnapshot } from './task-snapshot.js';

export interface GetOptions {
  /** How long to wait at most; for ever if absent. */
  readonly timeout?: Duration | undefined;
  /** Ends the wait with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Waiting inside a task can deadlock the workers; true says that it cannot here. */
  readonly allowInsideTask?: boolean | undefined;
}

/** Where an AsyncResult reads. */
export interface AsyncResultSource {
  /** Throws LOVAGE_RESULTS_NOT_CONFIGURED for an app without results. */
  backend(): Promise<ResultBackend>;
  readonly definition: TaskDefinition | null;
  /** The call asked for no result. */
  readonly ignored: boolean;
  /** Aborts when the app is stopped: nobody is left to bring a result. */
  readonly stopped: AbortSignal;
}

/** The future result of one call. Holds no connection and costs nothing until it is asked. */
export class AsyncResult<Result = unknown> {
  /** The task's id: store it, and `app.result(id)` finds the result again from any process. */
  readonly id: string;
  readonly #source: AsyncResultSource;

  constructor(id: string, source: AsyncResultSource) {
    this.id = id;
    this.#source = source;
  }

  /** PENDING means: waiting, running, or unknown. A call with `track` (or a countdown, `tx`, `unique`) has a record from the start: `app.results.get(id)` tells it from an unknown id. */
  async state(): Promise<TaskState> {
    const states = await (await this.#source.backend()).states([this.id]);
    return states.get(this.id)?.state ?? 'PENDING';
  }

  /**
   * Waits for the end and returns the result.
   *
   * @throws LOVAGE_TASK_FAILED, whose `cause` is the task's own error with the worker's stack; LOVAGE_TASK_REVOKED; LOVAGE_RESULT_TIMEOUT, after
   *   which the task goes on; LOVAGE_RESULT_IGNORED; LOVAGE_GET_INSIDE_TASK; LOVAGE_RESULTS_NOT_CONFIGURED; LOVAGE_STOPPED when the
   *   app is stopped meanwhile; and as connecting does: LOVAGE_RESULTS_UNAVAILABLE, LOVAGE_ACCESS_REFUSED, LOVAGE_SCHEMA.
   */
  async get(options: GetOptions = {}): Promise<Result> {
    if (TaskContext.find() !== undefined && options.allowInsideTask !== true) {
      throw new LovageError(
        'LOVAGE_GET_INSIDE_TASK',
        'get() inside a running task can deadlock the workers: return the id instead, or say get({ allowInsideTask: true })',
      );
    }
    if (this.#source.ignored) {
      throw new LovageError(
        'LOVAGE_RESULT_IGNORED',
        `the task ${this.id} was sent with ignoreResult: it leaves no result to wait for`,
      );
    }
    const record = await this.#wait(options);
    const snapshot = snapshotOf<Result>(record, this.#source.definition);
    if (snapshot.state === 'SUCCESS') return snapshot.result;
    if (snapshot.state === 'REVOKED') throw snapshot.error;
    const cause = snapshot.state === 'FAILURE' ? snapshot.error : undefined;
    throw new LovageError(
      'LOVAGE_TASK_FAILED',
      `task ${record.task} ${this.id} failed${afterRetries(record)}: ${cause?.name ?? 'Error'}: ${cause?.message ?? ''}`,
      { cause },
    );
  }

  /** The state with what belongs to it: result, error or progress. */
  async snapshot(): Promise<TaskSnapshot<Result>> {
    return snapshotOf<Result>(await this.#record(), this.#source.definition);
  }

  /** What the running task reported last; undefined if nothing. */
  async progress(): Promise<unknown> {
    const snapshot = await this.snapshot();
    return snapshot.state === 'PROGRESS' ? snapshot.progress : undefined;
  }

  /** It ended, well or not. */
  async ready(): Promise<boolean> {
    return isFinalState(await this.state());
  }

  async successful(): Promise<boolean> {
    return (await this.state()) === 'SUCCESS';
  }

  async failed(): Promise<boolean> {
    return (await this.state()) === 'FAILURE';
  }

  /**
   * Ends the task REVOKED, wherever it is: `get()` throws LOVAGE_TASK_REVOKED from now on. One that waits is not run, for as long as `revocations.keep`; one that runs may go on (`terminate: true` stops it), and what
   * it returns counts for nothing. false: it had ended otherwise before.
   *
   * @throws LOVAGE_USAGE for a wrong option; LOVAGE_DRIVER from a backend that keeps no revocations; LOVAGE_RESULTS_NOT_CONFIGURED; LOVAGE_RESULTS_UNAVAILABLE, also where an open
   *   transaction is about to make the task: the same call may be made again; and as connecting does.
   * @example
   * await result.revoke({ terminate: true, reason: 'the order was cancelled' });
   */
  async revoke(options: RevokeOptions = {}): Promise<boolean> {
    const [result] = await revokeTasks(await this.#source.backend(), [this.id], options);
    return result?.state === 'REVOKED';
  }

  /** Deletes the record; true if there was one. A task that has not ended yet will write it again. */
  async forget(): Promise<boolean> {
    return (await (await this.#source.backend()).forget([this.id])) > 0;
  }

  async #record(): Promise<TaskRecord | undefined> {
    const records = await (await this.#source.backend()).find({ ids: [this.id] });
    return records[0];
  }

  async #wait({ timeout, signal }: GetOptions): Promise<TaskRecord> {
    // Not AbortSignal.any: the app's signal would keep a reference for every wait there has ever been.
    const end = new AbortController();
    const timer = timeout === undefined ? undefined : this.#abortAfter(timeout, end);
    const unfollow = [this.#source.stopped, ...(signal === undefined ? [] : [signal])].map((cause) =>
      follow(cause, end),
    );
    try {
      const backend = await unlessAborted(this.#source.backend(), end.signal);
      return await unlessAborted(backend.waitFor(this.id, end.signal), end.signal);
    } finally {
      clearTimeout(timer);
      for (const stop of unfollow) stop();
    }
  }

  #abortAfter(timeout: Duration, abort: AbortController): NodeJS.Timeout {
    const limit = Math.min(parseDuration(timeout, 'timeout'), LONGEST_TIMER_MS);
    const shown = typeof timeout === 'number' ? `${timeout} ms` : timeout;
    const message = `task ${this.id} did not end within ${shown}: it may still be waiting or running. Is a worker consuming its queue?`;
    return setTimeout(() => abort.abort(new LovageError('LOVAGE_RESULT_TIMEOUT', message)), limit);
  }
}

function afterRetries({ retries }: TaskRecord): string {
  return retries === 0 ? '' : ` after ${retries} ${retries === 1 ? 'retry' : 'retries'}`;
}

/** What setTimeout takes at most: 24.8 days. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Aborts `target` when `cause` does; the function returned ends that. */
function follow(cause: AbortSignal, target: AbortController): () => void {
  const abort = (): void => target.abort(cause.reason);
  if (cause.aborted) abort();
  else cause.addEventListener('abort', abort, { once: true });
  return () => cause.removeEventListener('abort', abort);
}

/** The promise's end, or the signal's reason if that comes first. */
async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  let onAbort: () => void = () => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
