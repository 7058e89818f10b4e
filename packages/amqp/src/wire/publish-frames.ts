import type { Message } from '@lovage/core';
import { ByteWriter } from './byte-writer.js';

/** AMQP 0-9-1, 2.3.5: a type, the channel and the size stand before what a frame carries, and one octet after it. */
const METHOD_FRAME = 1;
const HEADER_FRAME = 2;
const BODY_FRAME = 3;
const FRAME_END = 0xce;
const FRAME_OVERHEAD = 8;
const BASIC = 60;
const PUBLISH = 40;
const MANDATORY = 1;
const PERSISTENT = 2;

/** Which properties there are; they follow in this order. */
const CONTENT_TYPE = 0x8000;
const CONTENT_ENCODING = 0x4000;
const HEADERS = 0x2000;
const DELIVERY_MODE = 0x1000;
const PRIORITY = 0x0800;
const CORRELATION_ID = 0x0400;
const REPLY_TO = 0x0200;
const MESSAGE_ID = 0x0080;

/** As much as amqplib encodes for anybody else. */
const MAX_PROPERTY_BYTES = 64 * 1024;

/** What is told of a message besides itself. */
export interface Sent {
  readonly messageId: string;
  /** It was sent before. */
  readonly again: boolean;
}

/** Messages as one channel sends them: each a basic.publish to the queue of its name, its properties, and its body in frames of at most `frameMax` bytes. */
export class PublishFrames {
  readonly #channel: number;
  readonly #largestPayload: number;
  readonly #writer = new ByteWriter();

  constructor({ channel, frameMax }: { readonly channel: number; readonly frameMax: number }) {
    this.#channel = channel;
    this.#largestPayload = frameMax - FRAME_OVERHEAD;
  }

  /** Bytes not taken yet. */
  get length(): number {
    return this.#writer.length;
  }

  /** Adds a message. Throws, and has then added nothing, for what AMQP cannot express. */
  add(message: Message, sent: Sent): void {
    const start = this.#writer.length;
    try {
      this.#method(message.queue);
      this.#header(message, sent);
      this.#body(message.body);
    } catch (error) {
      this.#writer.cutTo(start);
      throw error;
    }
  }

  /** The bytes of what was added since. */
  take(): Buffer {
    return this.#writer.take();
  }

  #method(queue: string): void {
    const frame = this.#open(METHOD_FRAME);
    this.#writer.short(BASIC);
    this.#writer.short(PUBLISH);
    this.#writer.short(0); // reserved
    this.#writer.shortText(''); // the default exchange: straight to the queue
    this.#writer.shortText(queue);
    this.#writer.octet(MANDATORY);
    this.#close(frame);
  }

  #header(
    { headers, contentType, contentEncoding, correlationId, replyTo, priority, body }: Message,
    sent: Sent,
  ): void {
    const writer = this.#writer;
    const frame = this.#open(HEADER_FRAME);
    writer.short(BASIC);
    writer.short(0); // weight, unused
    writer.longLong(body.length);
    writer.short(
      HEADERS |
        DELIVERY_MODE |
        MESSAGE_ID |
        (contentType === '' ? 0 : CONTENT_TYPE) |
        (contentEncoding === '' ? 0 : CONTENT_ENCODING) |
        (priority === null ? 0 : PRIORITY) |
        (correlationId === null ? 0 : CORRELATION_ID) |
        (replyTo === null ? 0 : REPLY_TO),
    );
    if (contentType !== '') writer.shortText(contentType);
    if (contentEncoding !== '') writer.shortText(contentEncoding);
    writer.table(sent.again ? { ...headers, republished: true } : headers);
    writer.octet(PERSISTENT);
    if (priority !== null) writer.octet(priority);
    if (correlationId !== null) writer.shortText(correlationId);
    if (replyTo !== null) writer.shortText(replyTo);
    writer.shortText(sent.messageId);
    const size = this.#close(frame);
    const limit = Math.min(MAX_PROPERTY_BYTES, this.#largestPayload);
    if (size > limit) throw new RangeError(`expected its headers to take at most ${limit} bytes, got ${size}`);
  }

  #body(body: Uint8Array): void {
    for (let offset = 0; offset < body.length; offset += this.#largestPayload) {
      const frame = this.#open(BODY_FRAME);
      this.#writer.bytes(body.subarray(offset, offset + this.#largestPayload));
      this.#close(frame);
    }
  }

  /** Gives where the frame's size is to be written. */
  #open(type: number): number {
    this.#writer.octet(type);
    this.#writer.short(this.#channel);
    const size = this.#writer.length;
    this.#writer.long(0);
    return size;
  }

  /** Gives the frame's size. */
  #close(frame: number): number {
    const size = this.#writer.lengthSince(frame);
    this.#writer.octet(FRAME_END);
    return size;
  }
}
