import { LovageError } from '../errors/lovage-error.js';
import type { Delivery, Message } from '../message/message.js';
import type {
  ConsumeOptions,
  Consumer,
  QueueSpec,
  QueueVisitor,
  Transport,
  TransportCapabilities,
} from './transport.js';
import { deadQueueOf, lostQueueOf } from './transport.js';

/** One queue of this process. */
class MemoryQueue {
  readonly spec: QueueSpec;
  readonly ready: Delivery[] = [];
  readonly consumers = new Set<MemoryConsumer>();

  constructor(spec: QueueSpec) {
    this.spec = spec;
  }

  add(message: Message): void {
    this.ready.push({ message, redelivered: false });
    this.dispatch();
  }

  /** Back to the front, in the order they were delivered. */
  putBack(deliveries: readonly Delivery[]): void {
    this.ready.unshift(...deliveries.map(({ message }) => ({ message, redelivered: true })));
    this.dispatch();
  }

  /** As `QueueInspector.visit`. */
  async visit(limit: number, visitor: QueueVisitor): Promise<number> {
    const taken = this.ready.splice(0, limit);
    const kept: Delivery[] = [];
    let shown = 0;
    try {
      for (const delivery of taken) {
        shown += 1;
        if ((await visitor(delivery.message)) === 'keep') kept.push(delivery);
      }
      return shown;
    } catch (error) {
      kept.push(...taken.slice(shown - 1));
      throw error;
    } finally {
      this.putBack(kept);
    }
  }

  dispatch(): void {
    for (const consumer of this.consumers) {
      const batch = this.ready.splice(0, consumer.room);
      if (batch.length > 0) consumer.deliver(batch);
    }
  }
}

/** The queues behind each `memory:` URL: what the broker is elsewhere. */
const brokers = new Map<string, Map<string, MemoryQueue>>();

/**
 * The transport of `memory:` URLs: transports of one URL in one process share their queues, which live as long as the process.
 * For tests and trials: nothing is durable.
 */
export class MemoryTransport implements Transport {
  readonly capabilities: TransportCapabilities = {
    inspect: {
      depths: async (queues) =>
        queues.map((name) => {
          const queue = this.#queues.get(name);
          return queue === undefined ? null : { messages: queue.ready.length, consumers: queue.consumers.size };
        }),
      purge: async (name) => this.#queue(name).ready.splice(0).length,
      visit: async (name, { limit = Infinity }, visitor) => this.#queue(name).visit(limit, visitor),
    },
  };
  readonly #queues: Map<string, MemoryQueue>;
  readonly #consumers = new Set<MemoryConsumer>();
  #stopped = false;

  constructor(url: string) {
    this.#queues = brokers.get(url) ?? new Map<string, MemoryQueue>();
    brokers.set(url, this.#queues);
  }

  async start(): Promise<void> {
    this.#stopped = false;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all([...this.#consumers].map((consumer) => consumer.close()));
  }

  async declare(queues: readonly QueueSpec[]): Promise<void> {
    this.#assertOpen();
    for (const spec of queues) {
      const existing = this.#queues.get(spec.name);
      if (!spec.declare && existing === undefined) throw missing(spec.name);
      if (spec.declare && existing !== undefined && !sameArguments(existing.spec, spec)) {
        throw new LovageError(
          'LOVAGE_QUEUE_MISMATCH',
          `the queue '${spec.name}' exists with other arguments than configured (type or maxPriority)`,
        );
      }
      const besides = spec.declare && spec.type === 'quorum' ? [lostQueueOf(spec.name)] : [];
      for (const name of [spec.name, deadQueueOf(spec.name), ...besides]) {
        if (!this.#queues.has(name)) this.#queues.set(name, new MemoryQueue({ ...spec, name }));
      }
    }
  }

  async publish(messages: readonly Message[]): Promise<readonly (LovageError | null)[]> {
    if (this.#stopped) return messages.map(stopped);
    return messages.map((message) => {
      const queue = this.#queues.get(message.queue);
      if (queue === undefined) return missing(message.queue);
      queue.add(message);
      return null;
    });
  }

  async consume(options: ConsumeOptions): Promise<Consumer> {
    this.#assertOpen();
    const queue = this.#queue(options.queue);
    const consumer = new MemoryConsumer(queue, options, () => this.#consumers.delete(consumer));
    this.#consumers.add(consumer);
    consumer.open();
    return consumer;
  }

  #queue(name: string): MemoryQueue {
    const queue = this.#queues.get(name);
    if (queue === undefined) throw missing(name);
    return queue;
  }

  #assertOpen(): void {
    if (this.#stopped) throw stopped();
  }
}

class MemoryConsumer implements Consumer {
  readonly #queue: MemoryQueue;
  readonly #options: ConsumeOptions;
  readonly #onClose: () => void;
  readonly #unsettled = new Set<Delivery>();
  #prefetch: number;
  #consuming = false;
  #closed = false;

  constructor(queue: MemoryQueue, options: ConsumeOptions, onClose: () => void) {
    this.#queue = queue;
    this.#options = options;
    this.#prefetch = options.prefetch;
    this.#onClose = onClose;
  }

  get consuming(): boolean {
    return this.#consuming;
  }

  get room(): number {
    return this.#consuming ? Math.max(0, this.#prefetch - this.#unsettled.size) : 0;
  }

  open(): void {
    this.#consuming = true;
    this.#queue.consumers.add(this);
    this.#queue.dispatch();
  }

  deliver(batch: readonly Delivery[]): void {
    for (const delivery of batch) this.#unsettled.add(delivery);
    // As over a wire: never inside the call that published.
    setImmediate(() => {
      const open = batch.filter((delivery) => this.#unsettled.has(delivery));
      if (this.#consuming && open.length > 0) this.#options.onDeliveries(open);
      else this.requeue(open);
    });
  }

  ack(deliveries: readonly Delivery[]): void {
    for (const delivery of deliveries) this.#unsettled.delete(delivery);
    this.#queue.dispatch();
  }

  requeue(deliveries: readonly Delivery[]): void {
    this.#queue.putBack(deliveries.filter((delivery) => this.#unsettled.delete(delivery)));
  }

  async resize(prefetch: number): Promise<void> {
    this.#prefetch = prefetch;
    this.#queue.dispatch();
  }

  beyond(deliveries: readonly Delivery[]): readonly Delivery[] {
    const count = Math.max(0, this.#unsettled.size - this.#prefetch);
    return deliveries.slice(Math.max(0, deliveries.length - count));
  }

  async cancel(): Promise<void> {
    this.#consuming = false;
    this.#queue.consumers.delete(this);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.cancel();
    this.requeue([...this.#unsettled]);
    this.#onClose();
  }
}

function sameArguments(a: QueueSpec, b: QueueSpec): boolean {
  return a.type === b.type && a.maxPriority === b.maxPriority;
}

function missing(queue: string): LovageError {
  return new LovageError('LOVAGE_UNROUTABLE', `there is no queue '${queue}'`);
}

function stopped(): LovageError {
  return new LovageError('LOVAGE_STOPPED', 'the transport has been stopped');
}
