import type { Message } from '@lovage/core';
import type { ConfirmChannel } from 'amqplib';
import { type ChannelWriter, channelWriter } from './channel-writer.js';
import type { Sending } from './publish-batch.js';

/** One word of the broker: this delivery tag, and with `multiple` all before it. */
interface Confirm {
  readonly deliveryTag: number;
  readonly multiple: boolean;
}

export interface LaneListener {
  /** Called once for each message that the broker has answered for. */
  onSettled(sending: Sending, confirmed: boolean): void;
  /** Called after the calls of `onSettled` that one frame brought, and when the channel's buffer has room again. */
  onRoom(): void;
}

/**
 * One confirm channel and what is unconfirmed on it.
 *
 * amqplib's confirm callback would be a closure a message; its 'ack' and 'nack' events carry the delivery tag, which counts from 1 with each
 * publish. The same tag, in the message id, finds a returned message: two copies of one task may be on their way to one queue.
 */
export class ConfirmLane {
  readonly #writer: ChannelWriter;
  readonly #id: string;
  readonly #unconfirmed = new Map<number, Sending>();
  readonly #listener: LaneListener;
  #nextTag = 1;
  /** All tags below it are settled. */
  #lowest = 1;
  #full = false;
  #flushScheduled = false;

  /** `id` makes the message ids of this channel unlike those of all others. */
  constructor(channel: ConfirmChannel, { id, listener }: { readonly id: string; readonly listener: LaneListener }) {
    this.#writer = channelWriter(channel);
    this.#id = `${id}.`;
    this.#listener = listener;
    channel.on('ack', (confirm) => this.#settle(confirm, true));
    channel.on('nack', (confirm) => this.#settle(confirm, false));
    channel.on('return', ({ fields, properties }) => {
      const sending = this.#unconfirmed.get(Number(String(properties.messageId).slice(this.#id.length)));
      if (sending !== undefined) sending.returned = (fields as { replyText?: string }).replyText ?? 'returned';
    });
    channel.on('drain', () => {
      this.#full = false;
      listener.onRoom();
    });
  }

  /** How many messages wait for the broker's word. */
  get size(): number {
    return this.#unconfirmed.size;
  }

  /** amqplib's buffer is full: what is sent now would only grow the heap. */
  get isFull(): boolean {
    return this.#full;
  }

  /** Sends, together with what else is sent before the next tick. Throws, and then has sent nothing, when the message cannot be encoded or the channel is closing. */
  send(sending: Sending, message: Message): void {
    const hasRoom = this.#writer.write(message, { messageId: this.#id + this.#nextTag, again: sending.again });
    if (!hasRoom) this.#full = true;
    this.#unconfirmed.set(this.#nextTag++, sending);
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    process.nextTick(this.#flush);
  }

  /** Forgets what is unconfirmed of batches that are over. */
  dropOver(): void {
    for (const [tag, { batch }] of this.#unconfirmed) if (batch.isOver) this.#unconfirmed.delete(tag);
  }

  /** What was sent and never answered for, in the order it was sent. */
  takeUnconfirmed(): readonly Sending[] {
    const left = [...this.#unconfirmed.values()];
    this.#unconfirmed.clear();
    return left;
  }

  readonly #flush = (): void => {
    this.#flushScheduled = false;
    if (!this.#writer.flush()) this.#full = true;
  };

  #settle({ deliveryTag, multiple }: Confirm, confirmed: boolean): void {
    if (multiple) {
      for (let tag = this.#lowest; tag <= deliveryTag; tag++) this.#settleOne(tag, confirmed);
      this.#lowest = deliveryTag + 1;
    } else {
      this.#settleOne(deliveryTag, confirmed);
      if (deliveryTag === this.#lowest) this.#lowest += 1;
    }
    this.#listener.onRoom();
  }

  #settleOne(tag: number, confirmed: boolean): void {
    const sending = this.#unconfirmed.get(tag);
    if (sending === undefined) return;
    this.#unconfirmed.delete(tag);
    this.#listener.onSettled(sending, confirmed);
  }
}
