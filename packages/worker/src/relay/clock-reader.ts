import { isLovageError, type EventSink, type Outbox, type Runtime } from '@lovage/core';
import type { Clock } from './clock.js';

export interface ClockReaderOptions {
  readonly outbox: Outbox;
  readonly clock: Clock;
  readonly events: EventSink;
  readonly runtime: Runtime;
}

/** Clocks drift by some milliseconds in that time. */
const EVERY_MS = 60_000;

/** Keeps the clock set where no relay does: the transport itself delivers what is due (`isQueueTable`). */
export class ClockReader {
  readonly #options: ClockReaderOptions;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: ClockReaderOptions) {
    this.#options = options;
  }

  /** Resolves when the database has told its time, or could not. */
  async start(): Promise<void> {
    this.#timer = setInterval(() => void this.#read(), EVERY_MS);
    await this.#read();
  }

  async stop(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
  }

  async #read(): Promise<void> {
    const { outbox, clock, events, runtime } = this.#options;
    const askedAt = runtime.now();
    const start = runtime.monotonic();
    try {
      const { now } = await outbox.claim(0);
      clock.observe({ askedAt, roundTripMs: runtime.monotonic() - start, now });
    } catch (error) {
      // A database that is away is announced by its driver.
      if (isLovageError(error, 'LOVAGE_RESULTS_UNAVAILABLE') || isLovageError(error, 'LOVAGE_STOPPED')) return;
      events.emit('warning', { message: "the database's clock cannot be read", error: error as Error });
    }
  }
}
