import { setTimeout as pause } from 'node:timers/promises';
import {
  Alarm,
  type ConsumeOptions,
  type Consumer,
  type Delivery,
  type DriverContext,
  backoffDelay,
  isLovageError,
} from '@lovage/core';
import { columnsOf } from '../database/columns.js';
import type { Database } from '../database/database.js';
import { QueueDelivery } from './queue-delivery.js';
import { DELIVERY_LEASE_MS, HELD, type QueueStatements } from './statements.js';

export interface PostgresConsumerOptions extends ConsumeOptions {
  readonly database: Database;
  readonly statements: QueueStatements;
  readonly context: DriverContext;
  /** Messages have gone back to this queue. */
  readonly onHandedBack: (queue: string) => void;
  readonly onClosed: (consumer: PostgresConsumer) => void;
}

/** Leases are renewed, and the consumer says that it lives, three times before they end. */
const RENEW_MS = DELIVERY_LEASE_MS / 3;
/** Between two looks at an empty queue of which nobody tells. */
const POLL_MS = 1_000;
/** After a look that found nothing, however often there is said to be something: others were faster. */
const EMPTY_GAP_MS = 20;
const BACKOFF = { minMs: 100, maxMs: 5_000 } as const;
/** How long `cancel` and `close` wait for the database. */
const GRACE_MS = 2_000;

/**
 * One consumer of a queue in PostgreSQL. All that it asks of the database it asks in one loop, one after another: so no renewal overtakes a hand-back,
 * and what is settled while a statement is under way shares the next.
 */
export class PostgresConsumer implements Consumer {
  readonly #options: PostgresConsumerOptions;
  readonly #id: string;
  readonly #alarm: Alarm;
  /** Until when each delivery is ours, by the monotonic clock. */
  readonly #held = new Map<Delivery, number>();
  readonly #aborting = new AbortController();
  #prefetch: number;
  #state: 'open' | 'cancelled' | 'closed' = 'open';
  #running: Promise<void> = Promise.resolve();
  #settled: QueueDelivery[] = [];
  #returned: QueueDelivery[] = [];
  #isThere = false;
  #mayBeMore = true;
  #lookAt = 0;
  #wasFull = false;
  /** A busy consumer looks for what was delivered before once in a while: all that has come and gone there is still in the index until it is vacuumed. */
  #lookAgainAt = 0;
  #notBefore = 0;
  #renewAt = 0;
  #failures = 0;
  #left: (() => void)[] = [];
  #hasLeft = false;

  constructor(options: PostgresConsumerOptions) {
    this.#options = options;
    this.#prefetch = options.prefetch;
    this.#id = options.context.runtime.uuid();
    this.#alarm = new Alarm(options.context.runtime);
  }

  get queue(): string {
    return this.#options.queue;
  }

  get consuming(): boolean {
    return this.#state === 'open' && this.#isThere && this.#failures === 0;
  }

  /** Says that it is there. It begins to look once whoever waits for this has been told. */
  async open(): Promise<void> {
    await this.#renew();
    this.#isThere = true;
    this.#running = new Promise(setImmediate).then(() => this.#run());
  }

  /** There is, or in so many milliseconds will be, something in the queue. */
  wakeIn(ms: number): void {
    // Later than the next poll, which sees it coming.
    if (ms > POLL_MS || !this.#isOpen()) return;
    const at = this.#now() + Math.max(0, ms);
    if (ms <= 0) this.#mayBeMore = true;
    else this.#lookAt = Math.min(this.#lookAt, at);
    this.#alarm.ringIn(Math.max(0, Math.ceil(ms)));
  }

  ack(deliveries: readonly Delivery[]): void {
    // By its id alone, whoever holds the row meanwhile: its task has ended.
    for (const delivery of deliveries) {
      this.#held.delete(delivery);
      if (delivery instanceof QueueDelivery) this.#settled.push(delivery);
    }
    if (deliveries.length > 0) this.#alarm.ringIn(0);
  }

  requeue(deliveries: readonly Delivery[]): void {
    for (const delivery of deliveries)
      if (this.#held.delete(delivery) && delivery instanceof QueueDelivery) this.#returned.push(delivery);
    if (this.#returned.length > 0) this.#alarm.ringIn(0);
  }

  async resize(prefetch: number): Promise<void> {
    this.#prefetch = prefetch;
    this.#alarm.ringIn(0);
  }

  beyond(deliveries: readonly Delivery[]): readonly Delivery[] {
    const count = Math.max(0, this.#held.size - this.#prefetch);
    return deliveries.slice(Math.max(0, deliveries.length - count));
  }

  async cancel(): Promise<void> {
    if (this.#state === 'open') this.#state = 'cancelled';
    if (this.#hasLeft) return;
    // Without the database there is nobody to tell.
    if (this.#failures > 0) return this.#leave();
    this.#alarm.ringIn(0);
    await this.#within(new Promise<void>((resolve) => this.#left.push(resolve)));
  }

  async close(): Promise<void> {
    if (this.#state !== 'closed') {
      this.#state = 'closed';
      this.#aborting.abort();
    }
    this.#alarm.ringIn(0);
    await this.#within(this.#running);
    this.#options.onClosed(this);
  }

  async #run(): Promise<void> {
    for (let isOver = false; !isOver;) {
      this.#alarm.reset();
      try {
        isOver = await this.#turn();
        this.#failures = 0;
      } catch (error) {
        isOver = this.#state === 'closed';
        await this.#failed(error);
      }
    }
    this.#alarm.reset();
    this.#leave();
  }

  /** True: it was the last. */
  async #turn(): Promise<boolean> {
    const isClosing = this.#state === 'closed';
    // First, as what cannot be settled must not cost what is held.
    if (isClosing) this.requeue([...this.#held.keys()]);
    else if (this.#now() >= this.#renewAt) await this.#renew();
    await this.#settle();
    if (this.#state !== 'open' && this.#isThere) {
      await this.#options.database.run(this.#options.statements.leave, [this.#id]);
      this.#isThere = false;
      this.#leave();
    }
    if (isClosing) return true;
    if (!(await this.#claim())) await this.#rest();
    return false;
  }

  async #settle(): Promise<void> {
    const { database, statements, onHandedBack, queue } = this.#options;
    if (this.#settled.length > 0) {
      const settled = this.#settled;
      this.#settled = [];
      try {
        await database.run(statements.remove, [settled.map(({ rowId }) => rowId)]);
      } catch (error) {
        this.#settled.push(...settled);
        throw error;
      }
    }
    if (this.#returned.length > 0) {
      const returned = this.#returned;
      this.#returned = [];
      try {
        await database.run(statements.handBack, columnsOf(HELD, numbered(returned)));
      } catch (error) {
        this.#returned.unshift(...returned);
        throw error;
      }
      onHandedBack(queue);
    }
  }

  /** True: there may well be more, and room for it. */
  async #claim(): Promise<boolean> {
    const { database, statements, queue, onDeliveries } = this.#options;
    const now = this.#now();
    const room = this.#prefetch - this.#held.size;
    if (this.#state !== 'open' || room <= 0 || now < this.#notBefore) return false;
    if (!this.#mayBeMore && now < this.#lookAt) return false;
    // Whoever wakes it from here on may mean a row that this look does not see.
    this.#mayBeMore = false;
    this.#lookAt = Infinity;
    const isAgain = !this.#wasFull || now >= this.#lookAgainAt;
    const rows = await database.run(statements.claim, [queue, room, isAgain]);
    const deliveries = rows.filter(({ id }) => id !== null).map((row) => new QueueDelivery(row));
    for (const delivery of deliveries) this.#held.set(delivery, now + DELIVERY_LEASE_MS);
    const next = Number(rows[0]?.['next'] ?? Infinity);
    const seen = Number(rows[0]?.['seen'] ?? 0);
    this.#wasFull = seen === room;
    // They come first: where there is one, or one that was lost, there may be more, and they are not to wait for the whole backlog.
    const wasAgain = deliveries[0]?.redelivered === true || seen > deliveries.length;
    if (isAgain) this.#lookAgainAt = wasAgain ? now : now + POLL_MS;
    this.#lookAt = Math.min(this.#lookAt, this.#now() + Math.min(POLL_MS, Math.max(1, Math.ceil(next))));
    this.#notBefore = seen === 0 ? this.#now() + EMPTY_GAP_MS : 0;
    // Left for their size, or taken out as lost: the next look does not wait for news.
    this.#mayBeMore ||= this.#wasFull || seen > deliveries.length;
    // Cancelled meanwhile: nobody has seen them.
    if (!this.#isOpen()) this.requeue(deliveries);
    else if (deliveries.length > 0) onDeliveries(deliveries);
    return this.#mayBeMore && seen > 0;
  }

  // What follows an await may find another state than what went before it.
  #isOpen(): boolean {
    return this.#state === 'open';
  }

  async #renew(): Promise<void> {
    const { database, statements, queue, context } = this.#options;
    const held = [...this.#held.keys()].filter((delivery) => delivery instanceof QueueDelivery);
    const now = this.#now();
    const rows = await database.run(statements.renew, [
      ...columnsOf(HELD, numbered(held)),
      this.#isOpen() ? this.#id : null,
      queue,
      context.name,
    ]);
    this.#renewAt = now + RENEW_MS;
    const kept = new Set(rows.map(({ id }) => id));
    // What was settled meanwhile is no loss.
    const lost = held.filter((delivery) => !kept.has(delivery.rowId) && this.#held.has(delivery));
    for (const delivery of held)
      if (kept.has(delivery.rowId) && this.#held.has(delivery)) this.#held.set(delivery, now + DELIVERY_LEASE_MS);
    this.#lose(lost);
  }

  #lose(deliveries: readonly Delivery[]): void {
    if (deliveries.length === 0) return;
    for (const delivery of deliveries) this.#held.delete(delivery);
    this.#options.onLost?.();
  }

  async #rest(): Promise<void> {
    const now = this.#now();
    const room = this.#state === 'open' && this.#held.size < this.#prefetch;
    const look = this.#mayBeMore ? this.#notBefore : this.#lookAt;
    const until = room ? Math.min(this.#renewAt, Math.max(look, this.#notBefore)) : this.#renewAt;
    this.#alarm.ringIn(Math.max(0, Math.ceil(until - now)));
    await this.#alarm.rung();
  }

  async #failed(error: unknown): Promise<void> {
    const { context } = this.#options;
    this.#failures += 1;
    const isAway = isLovageError(error, 'LOVAGE_BROKER_UNAVAILABLE') || isLovageError(error, 'LOVAGE_STOPPED');
    // A database that is away is announced by its driver.
    if (!isAway && this.#failures === 1)
      context.events.emit('warning', {
        message: `the queue '${this.queue}' cannot be read, and is tried again: ${(error as Error).message}`,
        error: error as Error,
      });
    // What is ours still is renewed first; the rest is anybody's.
    this.#renewAt = 0;
    this.#mayBeMore = true;
    const now = this.#now();
    this.#lose([...this.#held].filter(([, until]) => until <= now).map(([delivery]) => delivery));
    if (this.#state !== 'open') this.#leave();
    const delayMs = backoffDelay(this.#failures, BACKOFF, context.runtime);
    await pause(delayMs, undefined, { signal: this.#aborting.signal }).catch(() => undefined);
  }

  #leave(): void {
    this.#hasLeft = true;
    for (const resolve of this.#left.splice(0)) resolve();
  }

  async #within(work: Promise<void>): Promise<void> {
    const timeout = new AbortController();
    await Promise.race([work, pause(GRACE_MS, undefined, { signal: timeout.signal }).catch(() => undefined)]);
    timeout.abort();
  }

  #now(): number {
    return this.#options.context.runtime.monotonic();
  }
}

function numbered(deliveries: readonly QueueDelivery[]) {
  return deliveries.map(({ rowId, deliveries: count }, ordinal) => ({ rowId, deliveries: count, ordinal }));
}
