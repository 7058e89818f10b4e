import { setTimeout as pause } from 'node:timers/promises';
import {
  Alarm,
  OUTBOX_LEASE_MS,
  backoffDelay,
  type EventSink,
  type Outbox,
  type OutboxMessage,
  type Runtime,
} from '@lovage/core';
import { Deadline } from '../deadline.js';
import { Outage } from '../outage.js';
import type { Clock } from './clock.js';
import type { Dispatcher } from './dispatcher.js';

export interface OutboxRelayOptions {
  readonly outbox: Outbox;
  readonly dispatcher: Dispatcher;
  /** Told the database's time with each claim. */
  readonly clock: Clock;
  readonly events: EventSink;
  readonly runtime: Runtime;
}

/** Batches that are under way at most: two are published while the next is claimed. */
const LANES = 3;
/** Rows of one claim; the outbox sees to it that they are not too large together. */
const LIMIT = 500;
/** Between two claims of an idle relay. */
const IDLE_MS = 1_000;
/** Between two claims of which the first was not full, whoever wakes it. */
const MIN_GAP_MS = 20;
const BACKOFF = { minMs: 100, maxMs: 5_000 } as const;
/** How long a batch is tried again while the broker is away; then its lease is nearly over, and it is left to that. */
const RETRY_FOR_MS = OUTBOX_LEASE_MS / 2;
/** How long `stop` waits for what is under way. */
const STOP_GRACE_MS = 1_000;
const UNREAD = 'reading the outbox failed and is tried again each second; what is due waits';

/**
 * Sends what is due in the outbox, and what was left behind there: claims rows (a lease), publishes them with confirms, removes them. Any number
 * of relays share the work. While the broker takes nothing, the rows stay where they are: no more than one is claimed at a time, to find out.
 *
 * A relay asks at most once a second when there is nothing to do: it is woken by the outbox's news, by `wakeIn`, and sleeps until what is due next.
 */
export class OutboxRelay {
  readonly #options: OutboxRelayOptions;
  readonly #stopping = new AbortController();
  readonly #alarm: Alarm;
  readonly #outage: Outage;
  readonly #lanes = new Set<Promise<void>>();
  #running: Promise<void> = Promise.resolve();
  /** No claim is made before it, by the monotonic clock. */
  #notBefore = -Infinity;
  /** Times in a row that the broker took nothing. */
  #failures = 0;
  #isAway = false;

  constructor(options: OutboxRelayOptions) {
    this.#options = options;
    this.#alarm = new Alarm(options.runtime);
    this.#outage = new Outage(UNREAD, options.events);
  }

  /** Resolves when a first claim has been answered, or has failed: the clock is set then, if it can be. Or when it is stopped. */
  start(): Promise<void> {
    return new Promise((resolve) => {
      this.#stopping.signal.addEventListener('abort', () => resolve(), { once: true });
      this.#running = this.#run(resolve);
    });
  }

  /** A row is due in so many milliseconds. */
  wakeIn(ms: number): void {
    // What is due later, the next claim tells.
    if (ms < IDLE_MS) this.#alarm.ringIn(Math.max(0, Math.ceil(ms)));
  }

  /** Claims nothing more. What is being published is finished, or left to its lease if that takes longer than a second. Idempotent. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#alarm.ringIn(0);
    const grace = new Deadline(STOP_GRACE_MS);
    await grace.within(this.#running.then(() => Promise.all(this.#lanes)));
    grace.pass();
  }

  async #run(started: () => void): Promise<void> {
    const { signal } = this.#stopping;
    const watch = this.#options.outbox.watch(() => this.wakeIn(0));
    while (!signal.aborted) {
      const isMore = await this.#claim();
      started();
      if (!isMore) await this.#rest();
      await this.#freeLane();
    }
    this.#alarm.reset();
    await watch.stop();
  }

  /** Claims what is due and begins to publish it. True: there may well be more. */
  async #claim(): Promise<boolean> {
    const { outbox, dispatcher, clock, runtime } = this.#options;
    // One, to find out: what is claimed now only waits for its lease to end.
    const limit = this.#isAway ? 1 : LIMIT;
    this.#alarm.reset();
    // What was sent while the database was away would be claimed again.
    await dispatcher.flush();
    const askedAt = runtime.now();
    const claimedAt = runtime.monotonic();
    try {
      const { messages, nextDueMs, now } = await outbox.claim(limit);
      clock.observe({ askedAt, roundTripMs: runtime.monotonic() - claimedAt, now });
      this.#outage.worked();
      if (messages.length > 0) this.#publish(messages, claimedAt);
      if (messages.length >= limit) return true;
      // Large rows fill a claim before it has all that are due.
      this.#sleep(MIN_GAP_MS, messages.length > 0 ? MIN_GAP_MS : (nextDueMs ?? IDLE_MS));
    } catch (error) {
      this.#outage.failed(error);
      this.#sleep(IDLE_MS, IDLE_MS);
    }
    return false;
  }

  #sleep(atLeast: number, ms: number): void {
    this.#notBefore = this.#options.runtime.monotonic() + atLeast;
    this.#alarm.ringIn(Math.min(IDLE_MS, Math.max(atLeast, Math.ceil(ms))));
  }

  async #rest(): Promise<void> {
    await this.#alarm.rung();
    const tooSoon = this.#notBefore - this.#options.runtime.monotonic();
    if (tooSoon > 0) await this.#pause(tooSoon);
  }

  #publish(rows: readonly OutboxMessage[], claimedAt: number): void {
    const lane = this.#dispatch(rows, claimedAt).finally(() => this.#lanes.delete(lane));
    this.#lanes.add(lane);
  }

  async #dispatch(rows: readonly OutboxMessage[], claimedAt: number): Promise<void> {
    const { dispatcher, runtime } = this.#options;
    for (let rest = rows; rest.length > 0;) {
      const { taken, refused, away } = await dispatcher.dispatch(rest, { republished: true });
      const isFailing = taken === 0 && refused + away.length > 0;
      this.#failures = isFailing ? this.#failures + 1 : 0;
      this.#isAway = isFailing && away.length > 0;
      if (isFailing) await this.#pause(backoffDelay(this.#failures, BACKOFF, runtime));
      const isLate = runtime.monotonic() - claimedAt > RETRY_FOR_MS;
      rest = isLate || this.#stopping.signal.aborted ? [] : away;
    }
  }

  /** Ends early when the relay is stopped. */
  async #pause(ms: number): Promise<void> {
    const { signal } = this.#stopping;
    await pause(ms, undefined, { signal }).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
  }

  /** Waits until one more batch may be published. */
  async #freeLane(): Promise<void> {
    while (this.#lanes.size >= (this.#failures > 0 ? 1 : LANES)) await Promise.race(this.#lanes);
  }
}
