import type {
  ConsumeOptions,
  Consumer,
  Delivery,
  LovageError,
  Message,
  QueueSpec,
  StartOptions,
  Transport,
  TransportCapabilities,
} from '@lovage/core';
import type { Step } from './fault-point.js';
import type { Fuse } from './fuse.js';
import { type Witness, keyOf } from './witness.js';

export interface FaultyOptions {
  readonly fuse: Fuse;
  readonly witness: Witness;
  readonly senders: Senders;
}

/** Who sends a message: known by the row that was written or claimed just before. */
export class Senders {
  readonly #steps = new Map<string, 'follow-up' | 'relayed' | 'call'>();

  expect(messages: readonly Message[], sender: 'follow-up' | 'relayed' | 'call'): void {
    for (const message of messages) this.#steps.set(keyOf(message), sender);
  }

  of(message: Message | undefined): 'follow-up' | 'relayed' | 'call' | null {
    return message === undefined ? null : (this.#steps.get(keyOf(message)) ?? null);
  }
}

/** A transport whose process dies at a chosen step. */
export class FaultyTransport implements Transport {
  readonly #inner: Transport;
  readonly #options: FaultyOptions;

  constructor(inner: Transport, options: FaultyOptions) {
    this.#inner = inner;
    this.#options = options;
  }

  get capabilities(): TransportCapabilities {
    return this.#inner.capabilities;
  }

  start(options: StartOptions): Promise<void> {
    return this.#inner.start(options);
  }

  stop(): Promise<void> {
    return this.#inner.stop();
  }

  declare(queues: readonly QueueSpec[]): Promise<void> {
    return this.#inner.declare(queues);
  }

  async publish(messages: readonly Message[]): Promise<readonly (LovageError | null)[]> {
    const { fuse, witness, senders } = this.#options;
    const sender = senders.of(messages[0]);
    const send = () => this.#inner.publish(messages);
    const half = () => this.#inner.publish(halfOf(messages));
    const outcomes = await (sender === null ? send() : fuse.around(`publish-${sender}` satisfies Step, send, { half }));
    messages.forEach((message, index) => {
      if (outcomes[index] === null) witness.sent(message);
    });
    return outcomes;
  }

  async consume(options: ConsumeOptions): Promise<Consumer> {
    const { fuse, witness } = this.#options;
    const counts = !options.queue.endsWith('.lost');
    const consumer = await this.#inner.consume({
      ...options,
      onDeliveries: (deliveries) => {
        if (!counts) return options.onDeliveries(deliveries);
        witness.delivered(deliveries);
        fuse.at('deliver', () => options.onDeliveries(deliveries));
      },
      onLost: () => {
        if (counts) witness.lost();
        options.onLost?.();
      },
    });
    return counts ? new FaultyConsumer(consumer, this.#options) : consumer;
  }
}

class FaultyConsumer implements Consumer {
  readonly #inner: Consumer;
  readonly #options: FaultyOptions;

  constructor(inner: Consumer, options: FaultyOptions) {
    this.#inner = inner;
    this.#options = options;
  }

  get consuming(): boolean {
    return this.#inner.consuming;
  }

  ack(deliveries: readonly Delivery[]): void {
    const { fuse, witness } = this.#options;
    witness.acknowledged(deliveries);
    fuse.begun(
      'ack',
      () => this.#inner.ack(deliveries),
      () => this.#inner.ack(halfOf(deliveries)),
    );
  }

  requeue(deliveries: readonly Delivery[]): void {
    this.#options.witness.requeued(deliveries);
    this.#inner.requeue(deliveries);
  }

  resize(prefetch: number): Promise<void> {
    return this.#inner.resize(prefetch);
  }

  beyond(deliveries: readonly Delivery[]): readonly Delivery[] {
    return this.#inner.beyond(deliveries);
  }

  cancel(): Promise<void> {
    return this.#inner.cancel();
  }

  close(): Promise<void> {
    return this.#inner.close();
  }
}

/** One of one. */
export function halfOf<T>(list: readonly T[]): readonly T[] {
  return list.slice(0, Math.ceil(list.length / 2));
}
