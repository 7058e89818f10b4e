import type { Channel } from 'amqplib';

/** What amqplib's error of a closed channel tells. */
export interface ChannelError extends Error {
  /** AMQP's reply code, if the broker closed the channel: 403, 404, 406 … */
  readonly code?: number;
}

/**
 * Binds what must be bound as soon as a channel is there (an 'error' without a listener is thrown out of the socket's handler), and
 * calls `onClosed` in the tick in which it closes: with the broker's reason, or null if it went with its connection or by our wish.
 */
export function watchChannel(channel: Channel, onClosed: (error: ChannelError | null) => void): void {
  let failure: ChannelError | null = null;
  channel.on('error', (error) => (failure = error));
  channel.on('close', () => onClosed(failure));
}
