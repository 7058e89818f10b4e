import { channelOf } from '../database/channel-of.js';

/** Where the outbox of a schema tells that a row is due. */
export function outboxChannelOf(schema: string): string {
  return channelOf('lovage_outbox', schema);
}
