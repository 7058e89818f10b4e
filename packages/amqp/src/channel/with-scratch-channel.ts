import type { Channel, ChannelModel } from 'amqplib';
import { watchChannel } from './watch-channel.js';

/**
 * Lends a channel of its own to `work`. A wrong question (other arguments, a queue that is not there) closes the channel it was
 * asked on, so that it must be nobody else's.
 */
export async function withScratchChannel<T>(model: ChannelModel, work: (channel: Channel) => Promise<T>): Promise<T> {
  const channel = await model.createChannel();
  let open = true;
  watchChannel(channel, () => (open = false));
  try {
    return await work(channel);
  } finally {
    // Nothing waits for the broker's answer, which would not come from a connection that dies.
    if (open) channel.close().catch(() => undefined);
  }
}
