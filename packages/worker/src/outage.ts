import { isLovageError, type EventSink } from '@lovage/core';

/** Something that the result database is asked for again and again: that it does not work is told once, until it works again. */
export class Outage {
  readonly #what: string;
  readonly #events: EventSink;
  #isTold = false;

  /** @param what it means: the beginning of the warning, to which the error is added. */
  constructor(what: string, events: EventSink) {
    this.#what = what;
    this.#events = events;
  }

  worked(): void {
    this.#isTold = false;
  }

  failed(error: unknown): void {
    // A database that is away is announced by its driver.
    if (isLovageError(error, 'LOVAGE_RESULTS_UNAVAILABLE') || isLovageError(error, 'LOVAGE_STOPPED')) return;
    if (this.#isTold) return;
    this.#isTold = true;
    const cause = error instanceof Error ? error : new Error(String(error));
    this.#events.emit('warning', { message: `${this.#what}: ${cause.message}`, error: cause });
  }
}
