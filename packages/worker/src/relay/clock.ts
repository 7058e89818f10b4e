import type { Runtime } from '@lovage/core';

/** One answer of the database that tells its time. */
export interface ClockReading {
  /** When it was asked, by this machine's clock. */
  readonly askedAt: number;
  readonly roundTripMs: number;
  /** What the database said. */
  readonly now: number;
}

interface Offset {
  readonly ms: number;
  readonly roundTripMs: number;
}

/**
 * The one clock (rule 8): the database's, as far as its answers tell. Until one has come, and in apps without an outbox: this machine's.
 *
 * The database read its clock somewhere within the round trip, so each answer gives the offset with an error of half of it. The shortest round trip
 * is kept until an answer contradicts it: a clock was set, or the two have drifted.
 */
export class Clock {
  readonly #runtime: Runtime;
  #offset: Offset = { ms: 0, roundTripMs: Infinity };

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /** Whole milliseconds since 1970. */
  now(): number {
    return Math.round(this.#runtime.now() + this.#offset.ms);
  }

  observe({ askedAt, roundTripMs, now }: ClockReading): void {
    const ms = now - (askedAt + roundTripMs / 2);
    const isBetter = roundTripMs <= this.#offset.roundTripMs;
    const isContradicted = Math.abs(ms - this.#offset.ms) > (roundTripMs + this.#offset.roundTripMs) / 2;
    if (isBetter || isContradicted) this.#offset = { ms, roundTripMs };
  }
}
