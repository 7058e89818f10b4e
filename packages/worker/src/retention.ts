import { isLovageError, type EventSink, type ResultBackend, type Runtime } from '@lovage/core';
import { maintain } from './maintain.js';

const INTERVAL_MS = 60_000;

export interface RetentionOptions {
  readonly results: ResultBackend;
  readonly events: EventSink;
  readonly runtime: Runtime;
  /** How long revocations are kept. */
  readonly keepRevocationsMs: number;
  /** Between two sweeps, on average. Default one minute. */
  readonly intervalMs?: number;
}

/** Does `maintain` now and then; any number of workers may do it at once. */
export class Retention {
  readonly #options: RetentionOptions;
  #timer: NodeJS.Timeout | undefined;
  #sweeping: Promise<void> = Promise.resolve();
  readonly #stopped = new AbortController();
  #told: string | null = null;

  constructor(options: RetentionOptions) {
    this.#options = options;
  }

  start(): void {
    this.#schedule();
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    clearTimeout(this.#timer);
    await this.#sweeping;
  }

  // Half to one and a half of the interval, so that workers started together do not sweep together.
  #schedule(): void {
    if (this.#stopped.signal.aborted) return;
    const { intervalMs = INTERVAL_MS, runtime } = this.#options;
    const sweep = () => void (this.#sweeping = this.#sweep());
    this.#timer = setTimeout(sweep, intervalMs * (0.5 + runtime.random())).unref();
  }

  async #sweep(): Promise<void> {
    const { results, keepRevocationsMs } = this.#options;
    try {
      await maintain({ results, keepRevocationsMs, signal: this.#stopped.signal });
      this.#told = null;
    } catch (error) {
      // A database that is away is announced by its driver, and the next sweep does this one's work.
      if (!isLovageError(error, 'LOVAGE_RESULTS_UNAVAILABLE') && !isLovageError(error, 'LOVAGE_STOPPED')) {
        this.#tell(error as Error);
      }
    }
    this.#schedule();
  }

  /** Not once a minute: a role that may not change tables never may. */
  #tell(error: Error): void {
    if (error.message === this.#told) return;
    this.#told = error.message;
    this.#options.events.emit('warning', {
      message: 'deleting old records failed; it is tried again each minute',
      error,
    });
  }
}
