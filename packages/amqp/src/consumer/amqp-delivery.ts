import type { Delivery, Message } from '@lovage/core';
import type { ConsumeMessage, MessageProperties } from 'amqplib';
import { decodeHeaders } from '../wire/header-codec.js';

/** A delivery, with the channel it came on: its tag means something there only. */
export class AmqpDelivery implements Delivery {
  readonly message: Message;
  readonly redelivered: boolean;
  /** Stands for one channel. */
  readonly session: object;
  readonly tag: number;
  /** Which consumer on that channel it came to. */
  readonly consumerTag: string;

  constructor(received: ConsumeMessage, { queue, session }: { readonly queue: string; readonly session: object }) {
    this.message = messageOf(received, queue);
    this.redelivered = received.fields.redelivered;
    this.session = session;
    this.tag = received.fields.deliveryTag;
    this.consumerTag = received.fields.consumerTag;
  }
}

/** What came from a queue, consumed or got. */
export function messageOf(
  { properties, content }: Pick<ConsumeMessage, 'properties' | 'content'>,
  queue: string,
): Message {
  const { headers, contentType, contentEncoding, correlationId, replyTo, priority } = properties as {
    readonly [K in keyof MessageProperties]: string | undefined;
  } & { readonly headers: Record<string, unknown> | undefined; readonly priority: number | undefined };
  return {
    queue,
    headers: decodeHeaders(headers),
    contentType: contentType ?? '',
    contentEncoding: contentEncoding ?? '',
    correlationId: correlationId ?? null,
    replyTo: replyTo ?? null,
    priority: priority ?? null,
    body: content,
  };
}
