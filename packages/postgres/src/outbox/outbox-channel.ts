import { createHash } from 'node:crypto';

/** PostgreSQL cuts longer names. */
const MAX_BYTES = 63;

/** Where the outbox of a schema tells that a row is due. */
export function outboxChannelOf(schema: string): string {
  const channel = `lovage_outbox.${schema}`;
  if (Buffer.byteLength(channel) <= MAX_BYTES) return channel;
  return `lovage_outbox.${createHash('sha256').update(schema).digest('hex').slice(0, 32)}`;
}
