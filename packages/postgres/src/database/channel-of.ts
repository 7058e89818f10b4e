import { createHash } from 'node:crypto';

/** PostgreSQL cuts longer names. */
const MAX_BYTES = 63;

/** The channel of a schema that is for one purpose. */
export function channelOf(purpose: string, schema: string): string {
  const channel = `${purpose}.${schema}`;
  if (Buffer.byteLength(channel) <= MAX_BYTES) return channel;
  return `${purpose}.${createHash('sha256').update(schema).digest('hex').slice(0, 32)}`;
}
