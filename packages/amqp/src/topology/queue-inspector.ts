import type { QueueDepth } from '@lovage/core';
import { isLovageError } from '@lovage/core';
import type { ChannelModel } from 'amqplib';
import { withScratchChannel } from '../channel/with-scratch-channel.js';
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
