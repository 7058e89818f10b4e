import type { QueueDepth, QueueVisitor, VisitOptions } from '@lovage/core';
import { isLovageError } from '@lovage/core';
import type { Channel, ChannelModel } from 'amqplib';
import { watchChannel } from '../channel/watch-channel.js';
import { withScratchChannel } from '../channel/with-scratch-channel.js';
import { unavailable } from '../connection/connection-error.js';
import { messageOf } from '../consumer/amqp-delivery.js';
import { queueError } from './queue-error.js';

/** As `QueueInspector.depths`, on this connection. */
export function depths(model: ChannelModel, queues: readonly string[]): Promise<readonly (QueueDepth | null)[]> {
  return Promise.all(queues.map((queue) => depth(model, queue)));
}

async function depth(model: ChannelModel, queue: string): Promise<QueueDepth | null> {
  try {
    return await withScratchChannel(model, async (channel) => {
      const { messageCount, consumerCount } = await channel.checkQueue(queue);
      return { messages: messageCount, consumers: consumerCount };
    });
  } catch (cause) {
    const error = queueError(cause, queue);
    if (isLovageError(error, 'LOVAGE_UNROUTABLE')) return null;
    throw error;
  }
}

/** As `QueueInspector.purge`, on this connection. */
export async function purge(model: ChannelModel, queue: string): Promise<number> {
  try {
    return await withScratchChannel(model, async (channel) => (await channel.purgeQueue(queue)).messageCount);
  } catch (error) {
    throw queueError(error, queue);
  }
}

export interface Visit extends VisitOptions {
  readonly queue: string;
  readonly visitor: QueueVisitor;
}

/**
 * As `QueueInspector.visit`, on this connection. What is shown stays unacknowledged until all has been: so each comes once, and what is kept goes
 * back to its place when the channel is closed.
 */
export async function visit(model: ChannelModel, { queue, limit = Infinity, visitor }: Visit): Promise<number> {
  const channel = await model.createChannel();
  let isOpen = true;
  const closed = new Promise<void>((resolve) => {
    watchChannel(channel, () => {
      isOpen = false;
      resolve();
    });
  });
  try {
    return await visitAll(channel, { queue, limit, visitor });
  } finally {
    // The broker has read every acknowledgement once it answers.
    if (isOpen) await Promise.race([channel.close().catch(() => undefined), closed]);
  }
}

async function visitAll(channel: Channel, { queue, limit, visitor }: Required<Visit>): Promise<number> {
  let left = limit ?? Infinity;
  for (let shown = 0; ; shown += 1) {
    if (shown >= left) return shown;
    const received = await aboutVisit(queue, () => channel.get(queue, { noAck: false }));
    if (received === false) return shown;
    // What arrives from here on is not shown: of what is put into the queue by the visitor there might be no end.
    if (shown === 0) left = Math.min(left, 1 + received.fields.messageCount);
    const verdict = await visitor(messageOf(received, queue));
    if (verdict === 'remove') await aboutVisit(queue, async () => channel.ack(received));
  }
}

async function aboutVisit<T>(queue: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const error = queueError(cause, queue);
    if (isLovageError(error)) throw error;
    throw unavailable(`the connection was lost while the queue '${queue}' was being looked through`, cause);
  }
}
