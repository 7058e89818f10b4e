import { channelOf } from '../database/channel-of.js';

/** Where is told which tasks of a schema have been revoked. */
export function revocationsChannelOf(schema: string): string {
  return channelOf('lovage_revocations', schema);
}
