import type { OutboxMessage, Runtime } from '@lovage/core';
import type { Clock } from './clock.js';
import type { Dispatcher } from './dispatcher.js';

export interface FollowUpsOptions {
  readonly dispatcher: Dispatcher;
  /** Told in how many milliseconds a row is due. */
  readonly wakeIn: (ms: number) => void;
  readonly clock: Clock;
  readonly runtime: Runtime;
}

interface Leased {
  readonly row: OutboxMessage;
  readonly committedAt: number;
}

const BATCH = 500;
/** More than these are left to a relay. */
const MAX_WAITING = 5_000;
/** A publish that has not begun by then is left to a relay, whose turn it soon is (rule 4). */
const OWN_FOR_MS = 10_000;

/** Sends what commits have caused and is due now: its rows are born leased. What cannot be sent is left to a relay, and nobody waits for any of it. */
export class FollowUps {
  readonly #options: FollowUpsOptions;
  #waiting: Leased[] = [];
  #working: Promise<void> | null = null;

  constructor(options: FollowUpsOptions) {
    this.#options = options;
  }

  /** @param committedAt when the commit that wrote them was sent, by the monotonic clock. */
  caused(rows: readonly OutboxMessage[], committedAt: number): void {
    const { wakeIn, clock } = this.#options;
    for (const row of rows) {
      if (row.due === null) this.#push({ row, committedAt });
      else wakeIn('inMs' in row.due ? row.due.inMs : row.due.at.getTime() - clock.now());
    }
  }

  /** Resolves when nothing is being sent. */
  async idle(): Promise<void> {
    await this.#working;
  }

  #push(leased: Leased): void {
    if (this.#waiting.length >= MAX_WAITING) return;
    this.#waiting.push(leased);
    this.#working ??= this.#work();
  }

  async #work(): Promise<void> {
    const { dispatcher, runtime } = this.#options;
    while (this.#waiting.length > 0) {
      // What is caused in this turn of the event loop goes together.
      await new Promise((resolve) => setImmediate(resolve));
      const now = runtime.monotonic();
      const own = this.#waiting.splice(0, BATCH).filter(({ committedAt }) => now - committedAt < OWN_FOR_MS);
      const rows = own.map(({ row }) => row);
      if (rows.length > 0) await dispatcher.dispatch(rows, { republished: false });
    }
    this.#working = null;
  }
}
