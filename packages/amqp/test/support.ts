import { EventBus, systemRuntime } from '@lovage/core';
import type { BrokerSettings, EventName, LovageEvents, Message, QueueSpec, Transport } from '@lovage/core';
import { connect } from 'amqplib';
import type { Channel, ChannelModel, GetMessage } from 'amqplib';
import { createTransport } from '../src/index.js';

/** A transport and the bus it was created with, not started. */
export interface Client {
  readonly transport: Transport;
  readonly events: EventBus;
  /** Resolves with the next event of that name that fits. */
  readonly next: <K extends EventName>(name: K, fits?: (event: LovageEvents[K]) => boolean) => Promise<LovageEvents[K]>;
}

export function client(url: string | readonly string[], settings: Partial<BrokerSettings> = {}): Client {
  const events = new EventBus();
  const transport = createTransport(
    {
      urls: typeof url === 'string' ? [url] : url,
      transport: null,
      heartbeatMs: 20_000,
      connectTimeoutMs: 5_000,
      connectRetryForMs: 10_000,
      publishTimeoutMs: 20_000,
      consumerTimeoutMs: 1_800_000,
      schema: 'lovage',
      listenUrl: null,
      prepare: true,
      confirmWindow: 1_000,
      credentials: null,
      tls: null,
      ...settings,
    },
    { name: 'amqp-test', events, runtime: systemRuntime },
  );
  return {
    transport,
    events,
    next: (name, fits = () => true) =>
      new Promise((resolve) => {
        const off = events.on(name, (event) => {
          if (!fits(event)) return;
          off();
          resolve(event);
        });
      }),
  };
}

export function queueSpec(spec: Partial<QueueSpec> = {}): QueueSpec {
  return { name: `q-${systemRuntime.uuid()}`, type: 'quorum', maxPriority: null, declare: true, ...spec };
}

export function message(queue: string, parts: Partial<Message> = {}): Message {
  return {
    queue,
    headers: {},
    contentType: 'application/json',
    contentEncoding: 'utf-8',
    correlationId: systemRuntime.uuid(),
    replyTo: null,
    priority: null,
    body: Buffer.from('[[],{},{}]'),
    ...parts,
  };
}

/** A second pair of eyes on the broker: amqplib itself. */
export async function observer(url: string): Promise<{ model: ChannelModel; channel: Channel }> {
  const model = await connect(url);
  const channel = await model.createChannel();
  return { model, channel };
}

/** What a queue holds and in which order, by amqplib: takes it all. */
export async function drain(channel: Channel, queue: string): Promise<readonly GetMessage[]> {
  const messages: GetMessage[] = [];
  for (let got = await channel.get(queue, { noAck: true }); got !== false;) {
    messages.push(got);
    got = await channel.get(queue, { noAck: true });
  }
  return messages;
}
