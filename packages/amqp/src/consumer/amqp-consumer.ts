import type { ConsumeOptions, Consumer, Delivery, DriverContext } from '@lovage/core';
import { isLovageError } from '@lovage/core';
import { inTime } from '../channel/in-time.js';
import { keepChannel } from '../channel/keep-channel.js';
import { reasonOf, stopped } from '../connection/connection-error.js';
import type { OpenConnection } from '../connection/connection-supervisor.js';
import { queueError } from '../topology/queue-error.js';
import type { Topology } from '../topology/topology.js';
import { checkPrefetch } from './check-prefetch.js';
import { ConsumerSession } from './consumer-session.js';

export interface AmqpConsumerOptions {
  readonly consume: ConsumeOptions;
  readonly context: DriverContext;
  readonly topology: Topology;
  /** How long the broker may take to accept it, in milliseconds; then another channel is tried. */
  readonly answerTimeoutMs: number;
  /** After how long without a delivery it begins anew, in case that it is no consumer any more. */
  readonly idleMs: number;
  /** Called once, when it is closed or could not be opened. */
  readonly onClosed: () => void;
}

/** A consumer that opens a new channel wherever it loses one: see keep-channel.ts. */
export class AmqpConsumer implements Consumer {
  /** Resolves when the broker has accepted it for the first time; rejects when the broker refuses it, or when it is closed before. */
  readonly accepted: Promise<void>;
  readonly #options: AmqpConsumerOptions;
  /** Aborts when no further channel is wanted. */
  readonly #ended = new AbortController();
  #session: ConsumerSession | null = null;
  #prefetch: number;
  /** The opening of a session that is under way. */
  #opening: Promise<unknown> = Promise.resolve();
  #isAccepted = false;
  #accept!: () => void;
  #refuse!: (error: unknown) => void;
  #cancelled: Promise<void> | null = null;
  #closed: Promise<void> | null = null;

  constructor(options: AmqpConsumerOptions) {
    this.#options = options;
    this.#prefetch = options.consume.prefetch;
    this.accepted = new Promise((resolve, reject) => {
      this.#accept = resolve;
      this.#refuse = reject;
    });
  }

  get consuming(): boolean {
    return !this.#ended.signal.aborted && this.#session !== null && this.#session.isConsuming;
  }

  /** Consumes on this connection for as long as both live. */
  serve(connection: OpenConnection): void {
    const signal = AbortSignal.any([connection.signal, this.#ended.signal]);
    const { runtime } = this.#options.context;
    void keepChannel({ signal, runtime, session: () => this.#runSession(connection) });
  }

  ack(deliveries: readonly Delivery[]): void {
    this.#session?.settle(deliveries, 'ack');
  }

  requeue(deliveries: readonly Delivery[]): void {
    this.#session?.settle(deliveries, 'requeue');
  }

  async resize(prefetch: number): Promise<void> {
    this.#prefetch = checkPrefetch(prefetch);
    await this.#session?.resize(prefetch);
  }

  beyond(deliveries: readonly Delivery[]): readonly Delivery[] {
    return this.#session?.beyond(deliveries) ?? [];
  }

  cancel(): Promise<void> {
    return (this.#cancelled ??= this.#cancel());
  }

  close(): Promise<void> {
    return (this.#closed ??= this.#close());
  }

  async #cancel(): Promise<void> {
    this.#ended.abort();
    this.#refuse(stopped()); // nothing, if it was accepted
    await this.#opening;
    await this.#session?.cancel();
  }

  async #close(): Promise<void> {
    await this.cancel();
    await this.#session?.close();
    this.#options.onClosed();
  }

  /** One channel, from its opening to its end. */
  async #runSession(connection: OpenConnection): Promise<void> {
    const opening = this.#open(connection);
    this.#opening = opening.catch(() => undefined);
    try {
      const session = await opening;
      this.#accept();
      this.#isAccepted = true;
      setImmediate(() => session.release());
      session.renewWhenIdle(this.#options.idleMs);
      const error = await session.closed;
      if (this.#ended.signal.aborted) return;
      this.#guard(() => this.#options.consume.onLost?.());
      if (!connection.signal.aborted) this.#warn(error);
    } catch (error) {
      if (!connection.signal.aborted && !this.#ended.signal.aborted) this.#openingFailed(error);
    }
  }

  async #open(connection: OpenConnection): Promise<ConsumerSession> {
    const { consume, answerTimeoutMs: ms } = this.#options;
    const opening = this.#begin(connection);
    try {
      return await inTime(opening, { ms, what: `to a consumer of the queue '${consume.queue}'` });
    } catch (error) {
      // Nobody waits for it any more: not for the answer, which may still come, and not for the goodbye.
      void this.#session?.close();
      void opening.then(
        (late) => late.close(),
        () => undefined,
      );
      throw error;
    }
  }

  async #begin(connection: OpenConnection): Promise<ConsumerSession> {
    const { topology, consume } = this.#options;
    // The first time, whoever consumes has just declared it.
    if (this.#isAccepted) await topology.redeclare(connection, consume.queue);
    const session = new ConsumerSession(await connection.model.createChannel(), {
      ...consume,
      onDeliveries: (deliveries) => this.#guard(() => consume.onDeliveries(deliveries)),
    });
    this.#session = session;
    try {
      await session.consume();
      await session.resize(this.#prefetch);
    } catch (error) {
      await session.close();
      throw error;
    }
    return session;
  }

  /** What is thrown here would go through amqplib, or end the process. */
  #guard(callback: () => void): void {
    try {
      callback();
    } catch (error) {
      const { queue } = this.#options.consume;
      const message = `the receiver of deliveries of the queue '${queue}' threw; they stay unsettled: ${reasonOf(error)}`;
      this.#options.context.events.emit('warning', { message, ...(error instanceof Error && { error }) });
    }
  }

  #openingFailed(error: unknown): void {
    // No answer is no refusal.
    if (this.#isAccepted || isLovageError(error, 'LOVAGE_BROKER_UNAVAILABLE')) return this.#warn(error);
    this.#ended.abort();
    this.#refuse(queueError(error, this.#options.consume.queue));
    this.#options.onClosed();
  }

  #warn(error: unknown): void {
    const reason = error === null ? 'the broker cancelled it (was the queue deleted?)' : reasonOf(error);
    this.#options.context.events.emit('warning', {
      message: `the consumer of the queue '${this.#options.consume.queue}' was interrupted and is being restored: ${reason}`,
      ...(error instanceof Error && { error }),
    });
  }
}
