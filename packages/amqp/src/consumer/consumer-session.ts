import type { ConsumeOptions, Delivery } from '@lovage/core';
import type { Channel, ConsumeMessage, Message } from 'amqplib';
import type { ChannelError } from '../channel/watch-channel.js';
import { watchChannel } from '../channel/watch-channel.js';
import { AmqpDelivery } from './amqp-delivery.js';
import { TagLedger } from './tag-ledger.js';

type Settle = 'ack' | 'requeue';

/** One of the broker's consumers on this channel, and its part of the prefetch. */
interface Share {
  readonly consumerTag: string;
  readonly prefetch: number;
}

/**
 * One channel of a consumer, from its opening to its end. Delivery tags belong to it.
 *
 * The broker takes the prefetch of a consumer when that starts, and never changes it. So it grows by another consumer on the same channel and shrinks by the end of the newest: an order that holds on
 * one channel holds among them (measured, on quorum and on classic queues). Replacing one by a larger one would send back what is on its way to it, up to 700 messages of a busy quorum queue each time.
 */
export class ConsumerSession {
  /** Resolves when the channel is gone: with the broker's reason, or null if it went with its connection or by our wish. */
  readonly closed: Promise<ChannelError | null>;
  readonly #channel: Channel;
  readonly #options: ConsumeOptions;
  readonly #ledger = new TagLedger();
  /** Received in this turn of the event loop. */
  #gathered: Delivery[] = [];
  /** The newest is last. */
  readonly #shares: Share[] = [];
  #started = 0;
  #isOpen = true;
  #isConsuming = false;
  #isReleased = false;
  /** Nothing has come since it was last looked. */
  #isIdle = false;

  constructor(channel: Channel, options: ConsumeOptions) {
    this.#channel = channel;
    this.#options = options;
    this.closed = new Promise((resolve) => {
      watchChannel(channel, (error) => {
        this.#isOpen = false;
        this.#isConsuming = false;
        resolve(error);
      });
    });
  }

  get isConsuming(): boolean {
    return this.#isConsuming;
  }

  /** Resolves when the broker has accepted the consumer; rejects with its refusal, or when the channel is lost. */
  async consume(): Promise<void> {
    await this.#addShare(this.#options.prefetch);
    this.#isConsuming = this.#isOpen;
  }

  /**
   * From now on the consumer begins anew whenever nothing has come for so long and nothing is unsettled. If its queue has gone the broker refuses, and closes the channel: a cluster does not always say so by
   * itself (RabbitMQ 3.10, three nodes: it did not for 17 of 80 quorum queues that were deleted), and this session would wait for ever.
   */
  renewWhenIdle(idleMs: number): void {
    const timer = setInterval(() => {
      if (this.#isIdle && this.#isConsuming && this.#ledger.isEmpty) void this.#renew();
      this.#isIdle = true;
    }, idleMs).unref();
    void this.closed.then(() => clearInterval(timer));
  }

  /** Resolves when the broker has confirmed it, or when the channel is gone. */
  async resize(prefetch: number): Promise<void> {
    if (!this.#isConsuming) return;
    const ended: Share[] = [];
    let missing = prefetch - this.#prefetch;
    while (missing < 0) {
      const newest = this.#shares.pop() as Share;
      ended.push(newest);
      missing += newest.prefetch;
    }
    await this.#exchange(ended, missing);
  }

  /** Those that came to a consumer which has been ended since: they count towards no prefetch. */
  beyond(deliveries: readonly Delivery[]): readonly Delivery[] {
    const tags = new Set(this.#shares.map(({ consumerTag }) => consumerTag));
    return (deliveries as readonly AmqpDelivery[]).filter(
      ({ session, consumerTag }) => session === this && !tags.has(consumerTag),
    );
  }

  /** Hands over what has come, and from now on what comes. Until then, whoever consumes may not know its consumer yet. */
  release(): void {
    this.#isReleased = true;
    this.#flush();
  }

  /** Resolves when the broker has confirmed it and what came before has been handed over, or when the channel is gone. */
  async cancel(): Promise<void> {
    this.#isConsuming = false;
    if (this.#isOpen) await this.#exchange(this.#shares.splice(0), 0);
  }

  /** Resolves when the broker has read all that was settled, or when the channel is gone. */
  async close(): Promise<void> {
    this.#isConsuming = false;
    if (!this.#isOpen) return;
    // amqplib's close() never answers when the connection dies meanwhile.
    await Promise.race([this.#channel.close().catch(() => undefined), this.closed]);
  }

  /** Settles those deliveries that came on this channel. */
  settle(deliveries: readonly Delivery[], how: Settle): void {
    if (!this.#isOpen) return;
    const tags: number[] = [];
    for (const delivery of deliveries as readonly AmqpDelivery[])
      if (delivery.session === this) tags.push(delivery.tag);
    if (tags.length === 0) return;
    const { upTo, single } = this.#ledger.settle(tags);
    try {
      if (upTo !== null) this.#send(how, upTo, true);
      for (const tag of single) this.#send(how, tag, false);
    } catch {
      // amqplib throws on a channel that is closing: the broker delivers these again.
    }
  }

  get #prefetch(): number {
    return this.#shares.reduce((sum, share) => sum + share.prefetch, 0);
  }

  async #renew(): Promise<void> {
    const prefetch = this.#prefetch;
    await this.#exchange(this.#shares.splice(0), prefetch);
  }

  /** Begins a consumer of this prefetch, unless it is 0, and ends others. Resolves when the broker has answered and what came before has been handed over, or when the channel is gone. */
  async #exchange(ended: readonly Share[], prefetch: number): Promise<void> {
    // One begins before the last one ends: there are queues that are deleted with their last consumer.
    const begun = prefetch > 0 ? [this.#addShare(prefetch)] : [];
    // What is unanswered when the channel goes, amqplib rejects.
    await Promise.allSettled([...begun, ...ended.map(({ consumerTag }) => this.#channel.cancel(consumerTag))]);
    this.#flush();
  }

  async #addShare(prefetch: number): Promise<void> {
    const { queue } = this.#options;
    const consumerTag = `lovage-${(this.#started += 1)}`;
    this.#shares.push({ consumerTag, prefetch });
    const receive = (received: ConsumeMessage | null): void => {
      if (received === null) return this.#cancelledByBroker();
      this.#isIdle = false;
      if (this.#gathered.length === 0) queueMicrotask(() => this.#flush());
      this.#ledger.receive(received.fields.deliveryTag);
      this.#gathered.push(new AmqpDelivery(received, { queue, session: this }));
    };
    // Per consumer, not `global` (which quorum queues refuse), and only for consumers that start after it. Sent together: nothing comes between them.
    await Promise.all([
      this.#channel.prefetch(prefetch, false),
      this.#channel.consume(queue, receive, { consumerTag }),
    ]);
  }

  #send(how: Settle, deliveryTag: number, multiple: boolean): void {
    const message = { fields: { deliveryTag } } as Message; // all that amqplib reads of it
    if (how === 'ack') this.#channel.ack(message, multiple);
    else this.#channel.nack(message, multiple, true);
  }

  /**
   * Hands over what arrived together. In a microtask: amqplib emits all messages of one read of the socket in one go, and microtasks
   * run right after it. setImmediate gathered two to eight times as many (800 for 100) and was no faster.
   */
  #flush(): void {
    if (!this.#isReleased || this.#gathered.length === 0) return;
    const deliveries = this.#gathered;
    this.#gathered = [];
    this.#options.onDeliveries(deliveries);
  }

  /** The queue was deleted, or its node went down: this channel has nothing more to give. */
  #cancelledByBroker(): void {
    this.#isConsuming = false;
    this.#shares.length = 0;
    void this.close();
  }
}
