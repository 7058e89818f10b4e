import { inspect } from 'node:util';
import { LovageError } from '../errors/lovage-error.js';
import type { AsyncResult } from '../results/async-result.js';
import { type CallOptions, checkCallOptions, mergeCallOptions } from './call-options.js';
import type { TaskTarget } from './sender-host.js';
import type { TaskSender } from './task-sender.js';

/** With keyword arguments any number of positional ones may be left to them. */
export type ArgsWith<Args extends readonly unknown[], Options> = Options extends { readonly kwargs: object }
  ? Partial<Args>
  : Args;

/** Sends one task. Immutable: `with` gives a new handle. Opens no connection before the first call. */
export class TaskHandle<in Args extends readonly unknown[] = readonly unknown[], out Result = unknown> {
  readonly #target: TaskTarget;
  readonly #sender: TaskSender;
  readonly #options: CallOptions;

  constructor(target: TaskTarget, sender: TaskSender, options: CallOptions = {}) {
    this.#target = target;
    this.#sender = sender;
    this.#options = options;
  }

  /** The task's name on the wire. */
  get name(): string {
    return this.#target.name;
  }

  /**
   * A handle whose calls have these options, over those it had.
   *
   * @throws LOVAGE_USAGE for an option that does not exist or a value it does not take.
   * @example
   * await divide.with({ queue: 'slow', expires: '10m' }).delay(1, 2);
   */
  with<const O extends CallOptions>(options: O): TaskHandle<ArgsWith<Args, O>, Result> {
    checkCallOptions(options);
    return new TaskHandle(this.#target, this.#sender, mergeCallOptions(this.#options, options));
  }

  /**
   * Sends one call. Resolves once the broker has taken it (one confirmed publish), with the result to ask for later. With `countdown`, `eta`, `tx`, `track` or
   * `unique` it resolves once the call is written to the outbox; under `tx` it is sent if and when that transaction commits.
   *
   * @throws LOVAGE_PAYLOAD for an argument that cannot travel, LOVAGE_ARGUMENTS, LOVAGE_UNROUTABLE, LOVAGE_QUEUE_MISMATCH, LOVAGE_PUBLISH,
   *   LOVAGE_BROKER_UNAVAILABLE (no word within `broker.publishTimeout`; the call may have been taken all the same: sent again with the error's
   *   `details.id` as `with({ id })`, it does not run again once it has ended). A call that is written: LOVAGE_RESULTS_NOT_CONFIGURED,
   *   LOVAGE_RESULTS_UNAVAILABLE, LOVAGE_RESULT_NOT_STORABLE, LOVAGE_TRANSACTION_REQUIRED, LOVAGE_SCHEMA, LOVAGE_DRIVER.
   */
  delay(...args: Args): Promise<AsyncResult<Result>> {
    return this.#sender.sendOne<Result>(this.#target, this.#options, args);
  }

  /**
   * Sends many calls in one round of confirms: much faster than one after the other. One result a call, in order.
   *
   * @throws as `delay`; if only some were taken, the error's `details` are `{ ids, failed }`: the ids of all calls in order, and
   *   `{ index, id, error }` of each that was not sent.
   */
  async delayMany(calls: readonly Readonly<Args>[]): Promise<readonly AsyncResult<Result>[]> {
    if (this.#options.id !== undefined && calls.length > 1) {
      throw new LovageError(
        'LOVAGE_USAGE',
        'with({ id }) names one call: it cannot be given to the many of delayMany()',
      );
    }
    return this.#sender.sendMany<Result>(this.#target, this.#options, calls);
  }

  /** What a REPL shows. */
  [inspect.custom](): string {
    return `TaskHandle(${this.#target.name})`;
  }
}
