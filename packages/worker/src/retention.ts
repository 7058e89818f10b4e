import { isLovageError, type EventSink, type ResultBackend, type Runtime } from '@lovage/core';

const INTERVAL_MS = 60_000;
/** Few enough that a delete never holds locks for long. */
const BATCH = 1_000;

export interface RetentionOptions {
  readonly results: ResultBackend;
  readonly events: EventSink;
  readonly runtime: Runtime;
  /** How long revocations are kept. */
  readonly keepRevocationsMs: number;
  /** Between two sweeps, on average. Default one minute. */
  readonly intervalMs?: number;
}

/** Deletes records and revocations that have been kept long enough (`results.expires`, `revocations.keep`), in small batches; any number of workers may do it at once. */
export class Retention {
  readonly #options: RetentionOptions;
  #timer: NodeJS.Timeout | undefined;
  #sweeping: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(options: RetentionOptions) {
    this.#options = options;
  }

  start(): void {
    this.#schedule();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#sweeping;
  }

  // Half to one and a half of the interval, so that workers started together do not sweep together.
  #schedule(): void {
    if (this.#stopped) return;
    const { intervalMs = INTERVAL_MS, runtime } = this.#options;
    const sweep = () => void (this.#sweeping = this.#sweep());
    this.#timer = setTimeout(sweep, intervalMs * (0.5 + runtime.random())).unref();
  }

  async #sweep(): Promise<void> {
    const { results, events, keepRevocationsMs } = this.#options;
    const { revocations } = results.capabilities;
    try {
      while (!this.#stopped && (await results.expire(BATCH)) >= BATCH);
      while (!this.#stopped && ((await revocations?.expire(keepRevocationsMs, BATCH)) ?? 0) >= BATCH);
    } catch (error) {
      // A database that is away is announced by its driver, and the next sweep does this one's work.
      if (!isLovageError(error, 'LOVAGE_RESULTS_UNAVAILABLE') && !isLovageError(error, 'LOVAGE_STOPPED')) {
        events.emit('warning', {
          message: 'deleting old records failed; it is tried again in a minute',
          error: error as Error,
        });
      }
    }
    this.#schedule();
  }
}
