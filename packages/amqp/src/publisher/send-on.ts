import type { ConfirmChannel, Options } from 'amqplib';

/** The step below `publish` in amqplib's channels. */
interface MessageSender {
  sendMessage(fields: object, properties: object, content: Buffer): boolean;
  pushConfirmCallback(callback: null): void;
}

/** amqplib's options, with undefined for what a message lacks (amqplib skips those): one shape of object for all messages. */
export type PublishOptions = { readonly [K in keyof Options.Publish]: Options.Publish[K] | undefined };

export type SendFunction = (queue: string, options: PublishOptions, content: Buffer) => boolean;

/**
 * How to send a message to a queue on this channel; what it gives is false when amqplib's buffer is full (and the message in it).
 *
 * `publish` puts the headers behind a prototype before it encodes them, which V8 turns into the slowest kind of object: 37 µs of CPU a
 * message, against 20 µs by the step below it, where they stay a plain one. An amqplib without that step is used by its front door.
 */
export function sendOn(channel: ConfirmChannel): SendFunction {
  if (!isMessageSender(channel)) {
    return (queue, options, content) => channel.publish('', queue, content, options as Options.Publish);
  }
  return (queue, options, content) => {
    // Looked up at each call: on a channel that closes, amqplib replaces it by one that throws IllegalOperationError.
    const hasRoom = channel.sendMessage({ exchange: '', routingKey: queue, mandatory: true }, options, content);
    channel.pushConfirmCallback(null);
    return hasRoom;
  };
}

function isMessageSender(channel: object): channel is MessageSender {
  const { sendMessage, pushConfirmCallback } = channel as Record<string, unknown>;
  return typeof sendMessage === 'function' && typeof pushConfirmCallback === 'function';
}
