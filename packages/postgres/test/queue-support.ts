import {
  type BrokerSettings,
  type ConsumeOptions,
  type Consumer,
  type Delivery,
  type LovageError,
  type Message,
  type QueueInspector,
  type QueueSpec,
  type Transport,
  systemRuntime,
} from '@lovage/core';
import { createTransport } from '../src/create-transport.js';
import { RecordedEvents, TestSchema, brokerSettings, until } from './support.js';

/** Transports on one schema, each as another process would have it; `stop` stops them all. */
export class Transports {
  readonly #schema: TestSchema;
  readonly #made: Transport[] = [];

  constructor(schema: TestSchema) {
    this.#schema = schema;
  }

  /** Not started. */
  make(fields: Partial<BrokerSettings> = {}, events = new RecordedEvents()): Transport {
    const settings = brokerSettings({ urls: [this.#schema.url], schema: this.#schema.name, ...fields });
    const transport = createTransport(settings, events.context);
    this.#made.push(transport);
    return transport;
  }

  async started(fields: Partial<BrokerSettings> = {}, events?: RecordedEvents): Promise<Transport> {
    const transport = this.make(fields, events);
    await transport.start({ retryForMs: 5_000 });
    return transport;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#made.splice(0).map((transport) => transport.stop()));
  }
}

/** Declares a queue that no other test has. */
export async function declared(transport: Transport, spec: Partial<QueueSpec> = {}): Promise<string> {
  const name = `queue-${systemRuntime.uuid()}`;
  await transport.declare([{ name, type: 'quorum', maxPriority: null, declare: true, ...spec }]);
  return name;
}

/** A message that its correlation id tells from others. */
export function message(queue: string, correlationId = 'id', parts: Partial<Message> = {}): Message {
  return {
    queue,
    headers: {},
    contentType: '',
    contentEncoding: '',
    correlationId,
    replyTo: null,
    priority: null,
    body: Buffer.from('body'),
    ...parts,
  };
}

export async function publish(transport: Transport, ...messages: readonly Message[]): Promise<void> {
  expect(await transport.publish(messages)).toEqual(messages.map(() => null));
}

export const codesOf = (outcomes: readonly (LovageError | null)[]): readonly (string | null)[] =>
  outcomes.map((outcome) => outcome?.code ?? null);

export const namesOf = (deliveries: readonly Delivery[]): readonly (string | null)[] =>
  deliveries.map((delivery) => delivery.message.correlationId);

export function inspectorOf(transport: Transport): QueueInspector {
  return transport.capabilities.inspect as QueueInspector;
}

/** A consumer, with all that it was handed. */
export class Receiver {
  readonly deliveries: Delivery[] = [];
  /** When each of them came, by Date.now(). */
  readonly times: number[] = [];
  lost = 0;
  #consumer: Consumer | null = null;

  static async on(
    transport: Transport,
    queue: string,
    { ack = false, ...options }: Partial<ConsumeOptions> & { readonly ack?: boolean } = {},
  ): Promise<Receiver> {
    const receiver = new Receiver();
    receiver.#consumer = await transport.consume({
      queue,
      prefetch: 100,
      onDeliveries: (batch) => {
        receiver.deliveries.push(...batch);
        receiver.times.push(...batch.map(() => Date.now()));
        if (ack) receiver.consumer.ack(batch);
      },
      onLost: () => (receiver.lost += 1),
      ...options,
    });
    return receiver;
  }

  get consumer(): Consumer {
    return this.#consumer as Consumer;
  }

  get names(): readonly (string | null)[] {
    return namesOf(this.deliveries);
  }

  async until(count: number): Promise<readonly Delivery[]> {
    await until(`${count} deliveries`, () => this.deliveries.length >= count);
    return this.deliveries;
  }

  delivery(index: number): Delivery {
    const found = this.deliveries[index];
    if (found === undefined) throw new RangeError(`expected delivery ${index}, got ${this.deliveries.length}`);
    return found;
  }
}
