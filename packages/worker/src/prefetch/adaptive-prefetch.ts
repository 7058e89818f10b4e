import type { Delivery } from '@lovage/core';

export interface AdaptivePrefetchOptions {
  /** How many of the queue's tasks run at once. */
  readonly slots: number;
  /** How much the bodies of what is held may weigh, in bytes, as long as that is enough for every slot. */
  readonly maxBytes: number;
}

/** What it wants to know of a delivery. */
export interface Weighed {
  readonly message: { readonly body: Pick<Delivery['message']['body'], 'byteLength'> };
}

/** More brings nothing where even the shortest tasks last for a tenth of a second. */
const MOST = 2_000;
/** AMQP's own limit. */
const LIMIT = 65_535;
/** A second without an end may be a pause of the process or of the database. */
const SLOW_SECONDS = 3;

/**
 * How many deliveries of one queue a worker may hold: about what it finishes in a second, so that it never waits for short tasks, and leaves long ones to others.
 *
 * - It begins with two for each slot, and never holds fewer.
 * - It doubles when twice as many have been finished within one second. That is known before the second is over, and needs no measure of how long a task takes: where a slot, the broker or the
 *   database is what holds things up, fewer are finished.
 * - It falls to what was finished where that was less than half of it for three seconds on end. Between half and twice nothing changes, or it would swing.
 * - It falls at once where the bodies held are too heavy, to as many as weigh no more, though never below one for each slot; and grows only to what weighs half of that.
 */
export class AdaptivePrefetch {
  readonly #slots: number;
  readonly #first: number;
  readonly #most: number;
  readonly #maxBytes: number;
  #limit: number;
  #held = 0;
  #bytes = 0;
  /** In this second. */
  #finished = 0;
  /** In the best of the slow seconds. */
  #finishedAtBest = 0;
  #slowSeconds = 0;

  constructor({ slots, maxBytes }: AdaptivePrefetchOptions) {
    this.#slots = Math.min(slots, LIMIT);
    this.#most = Math.max(MOST, this.#slots);
    this.#first = Math.min(2 * this.#slots, this.#most);
    this.#limit = this.#first;
    this.#maxBytes = maxBytes;
  }

  get limit(): number {
    return this.#limit;
  }

  received(deliveries: readonly Weighed[]): void {
    this.#held += deliveries.length;
    this.#bytes += bytesOf(deliveries);
    if (this.#bytes > this.#maxBytes) this.#limit = Math.min(this.#limit, this.#fitting(this.#maxBytes));
  }

  finished(deliveries: readonly Weighed[]): void {
    this.returned(deliveries);
    this.#finished += deliveries.length;
    const limit = Math.min(this.#step(this.#finished), this.#fitting(this.#maxBytes / 2));
    this.#limit = Math.max(this.#limit, limit);
  }

  returned(deliveries: readonly Weighed[]): void {
    this.#held -= deliveries.length;
    this.#bytes -= bytesOf(deliveries);
  }

  /** To be called each second. True: more is held than is wanted, and what has not started is to go back. */
  endSecond(): boolean {
    const finished = this.#finished;
    this.#finished = 0;
    if (2 * finished >= Math.max(this.#limit, this.#held)) {
      this.#slowSeconds = 0;
      this.#finishedAtBest = 0;
      return false;
    }
    this.#slowSeconds += 1;
    this.#finishedAtBest = Math.max(this.#finishedAtBest, finished);
    if (this.#slowSeconds < SLOW_SECONDS) return false;
    this.#limit = Math.min(this.#limit, this.#step(this.#finishedAtBest));
    this.#slowSeconds = 0;
    this.#finishedAtBest = 0;
    return this.#held > this.#limit;
  }

  /** The largest step that is no more than this, if any is: few sizes, so that the broker is seldom told of one. */
  #step(count: number): number {
    let step = this.#first;
    for (let next = step; next <= count && step < this.#most; next = Math.min(2 * step, this.#most)) step = next;
    return step;
  }

  /** As many as weigh so much, by the mean of what is held. */
  #fitting(bytes: number): number {
    const count = this.#bytes === 0 ? Infinity : (this.#held * bytes) / this.#bytes;
    return count < this.#first ? this.#slots : this.#step(count);
  }
}

function bytesOf(deliveries: readonly Weighed[]): number {
  let bytes = 0;
  for (const { message } of deliveries) bytes += message.body.byteLength;
  return bytes;
}
