import { setTimeout as wait } from 'node:timers/promises';
import { backoffDelay, type EventSink, type Runtime } from '@lovage/core';

const BACKOFF = { minMs: 100, maxMs: 5_000 } as const;

export interface RetrierOptions {
  /** What is being done, for the warning: 'storing results'. */
  readonly what: string;
  readonly events: EventSink;
  readonly runtime: Runtime;
  /** Ends all retrying. */
  readonly signal: AbortSignal;
}

/** Does what must be done in the end, however long a server is away. One a server and purpose: it warns once an outage, not once a call. */
export class Retrier {
  readonly #options: RetrierOptions;
  #failing = false;

  constructor(options: RetrierOptions) {
    this.#options = options;
  }

  /** True from a first failure to the next success. */
  get failing(): boolean {
    return this.#failing;
  }

  /** Calls `work` until it succeeds, backing off from 0.1 to 5 s. Rejects only when the signal aborts. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    const { signal } = this.#options;
    for (let attempt = 1; ; attempt += 1) {
      signal.throwIfAborted();
      try {
        const value = await work();
        this.#failing = false;
        return value;
      } catch (error) {
        this.#warn(error);
        await this.backOff(attempt);
      }
    }
  }

  /** Waits as long as is waited after the `attempt`th failure. Rejects when the signal aborts. */
  async backOff(attempt: number): Promise<void> {
    const { signal, runtime } = this.#options;
    await wait(backoffDelay(attempt, BACKOFF, runtime), undefined, { signal });
  }

  /** Does what uses `run`, to its end or until the signal aborts: who holds the deliveries hands them back. Rejects with a defect alone. */
  async untilStopped(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!this.#options.signal.aborted) throw error;
    }
  }

  #warn(error: unknown): void {
    if (this.#failing) return;
    this.#failing = true;
    const cause = error instanceof Error ? error : new Error(String(error));
    this.#options.events.emit('warning', {
      message: `${this.#options.what} failed and is being retried until it works: ${cause.message}`,
      error: cause,
    });
  }
}
