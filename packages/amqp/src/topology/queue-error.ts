import { LovageError } from '@lovage/core';
import type { ChannelError } from '../channel/watch-channel.js';

/** The broker's "no" about one queue as our error, with its own words. An error without a reply code is the connection's: as it is. */
export function queueError(error: unknown, queue: string): unknown {
  const { code, message } = error as ChannelError;
  const options = { cause: error };
  switch (code) {
    case undefined:
      return error;
    case 404:
      return new LovageError(
        'LOVAGE_UNROUTABLE',
        `there is no queue '${queue}': declare it, or start a worker that does`,
        options,
      );
    case 405: // exclusive to another connection
    case 406:
      return new LovageError(
        'LOVAGE_QUEUE_MISMATCH',
        `the queue '${queue}' exists with other arguments than configured: ${brokerWords(message)}. ` +
          `Make \`queues\` describe it (type, maxPriority; declare: false takes it as it is), or delete it once it is empty`,
        options,
      );
    case 403:
      return new LovageError(
        'LOVAGE_ACCESS_REFUSED',
        `the broker refused the queue '${queue}': ${brokerWords(message)}`,
        options,
      );
    default:
      return new LovageError(
        'LOVAGE_DRIVER',
        `the broker cannot do this with the queue '${queue}': ${brokerWords(message)}`,
        options,
      );
  }
}

/** What stands in quotes in amqplib's `Operation failed: QueueDeclare; 406 (PRECONDITION-FAILED) with message "…"`. */
export function brokerWords(message: string): string {
  return /with message "(.*)"$/s.exec(message)?.[1] ?? message;
}
