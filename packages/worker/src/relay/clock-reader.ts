import type { EventSink, Outbox, Runtime } from '@lovage/core';
import { Outage } from '../outage.js';
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
  readonly #outage: Outage;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: ClockReaderOptions) {
    this.#options = options;
    this.#outage = new Outage("the database's clock cannot be read", options.events);
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
    const { outbox, clock, runtime } = this.#options;
    const askedAt = runtime.now();
    const start = runtime.monotonic();
    try {
      const { now } = await outbox.claim(0);
      this.#outage.worked();
      clock.observe({ askedAt, roundTripMs: runtime.monotonic() - start, now });
    } catch (error) {
      this.#outage.failed(error);
    }
  }
}
