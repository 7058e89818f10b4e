import type { Runtime } from '@lovage/core';

export interface RateLimiterOptions<T> {
  readonly runtime: Pick<Runtime, 'monotonic'>;
  /** It is this item's turn. */
  readonly ready: (item: T) => void;
  /** Its turn is far away: it is to come back in so many milliseconds. null: there is no outbox to keep it, and it waits here. */
  readonly postpone: ((item: T, inMs: number) => void) | null;
}

/** What is further away does not wait here: it would hold its delivery, and a place of the prefetch. */
const LONGEST_WAIT_MS = 60_000;
/** How late a start may come and be made up for by the next ones: timers are some milliseconds late. */
const SLACK_MS = 20;
/** A longer timer fires at once in Node. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Whose starts are counted together, and how far apart they are, in milliseconds. */
export interface Pace {
  readonly task: string;
  readonly intervalMs: number;
}

/** The starts of one task. */
interface Lane<T> {
  readonly intervalMs: number;
  /** In the order of their turns. */
  waiting: T[];
  /** No start before it, by the monotonic clock. */
  nextAt: number;
  /** When the next one that is postponed comes back: as far apart as starts are, or all would come back at once. */
  backAt: number;
  timer: NodeJS.Timeout | undefined;
}

/**
 * Spaces the starts of tasks that have a `rateLimit`, each task by itself: a token bucket that holds one token. What waits for its turn
 * holds no slot.
 */
export class RateLimiter<T> {
  readonly #options: RateLimiterOptions<T>;
  readonly #lanes = new Map<string, Lane<T>>();

  constructor(options: RateLimiterOptions<T>) {
    this.#options = options;
  }

  push(item: T, pace: Pace): void {
    const { runtime, ready, postpone } = this.#options;
    const lane = this.#laneOf(pace);
    const now = runtime.monotonic();
    const waitMs = lane.nextAt + lane.waiting.length * lane.intervalMs - now;
    if (waitMs <= 0 && lane.waiting.length === 0) {
      lane.nextAt = now + lane.intervalMs;
      ready(item);
    } else if (waitMs <= LONGEST_WAIT_MS || postpone === null) {
      lane.waiting.push(item);
      this.#arm(lane);
    } else {
      const backAt = Math.max(lane.backAt, now + waitMs);
      lane.backAt = backAt + lane.intervalMs;
      postpone(item, backAt - now);
    }
  }

  /** Forgets what waits, but for these; they move up. */
  keep(isKept: (item: T) => boolean): void {
    for (const lane of this.#lanes.values()) {
      lane.waiting = lane.waiting.filter(isKept);
      if (lane.waiting.length === 0) this.#disarm(lane);
    }
  }

  #laneOf({ task, intervalMs }: Pace): Lane<T> {
    const found = this.#lanes.get(task);
    if (found !== undefined) return found;
    const lane: Lane<T> = { intervalMs, waiting: [], nextAt: -Infinity, backAt: -Infinity, timer: undefined };
    this.#lanes.set(task, lane);
    return lane;
  }

  #arm(lane: Lane<T>): void {
    if (lane.timer !== undefined) return;
    const ms = Math.ceil(lane.nextAt - this.#options.runtime.monotonic());
    lane.timer = setTimeout(() => this.#turn(lane), Math.min(Math.max(0, ms), LONGEST_TIMER_MS));
  }

  #disarm(lane: Lane<T>): void {
    clearTimeout(lane.timer);
    lane.timer = undefined;
  }

  #turn(lane: Lane<T>): void {
    this.#disarm(lane);
    const now = this.#options.runtime.monotonic();
    const due: T[] = [];
    while (lane.nextAt <= now && due.length < lane.waiting.length) {
      due.push(lane.waiting[due.length] as T);
      lane.nextAt = Math.max(lane.nextAt, now - SLACK_MS) + lane.intervalMs;
    }
    lane.waiting = lane.waiting.slice(due.length);
    if (lane.waiting.length > 0) this.#arm(lane);
    for (const item of due) this.#options.ready(item);
  }
}
