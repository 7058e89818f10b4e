import type { Outbox } from '../outbox/outbox.js';
import type { Transport } from './transport.js';

/**
 * True where an outbox is the very table of a transport's queues: the transport delivers what is due in it, so that nobody need send it. A relay
 * must not: it would send rows to where they are, for ever.
 */
export async function isQueueTable(transport: Transport, outbox: Outbox): Promise<boolean> {
  const { table } = transport.capabilities;
  if (table === undefined || outbox.tableId === undefined) return false;
  const [ours, theirs] = await Promise.all([table.id(), outbox.tableId()]);
  return ours === theirs;
}
