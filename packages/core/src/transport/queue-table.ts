import type { Outbox } from '../outbox/outbox.js';
import type { Transport } from './transport.js';

/** The table of a transport whose queues are in a database. */
export interface QueueTable {
  /** Names the table: the same through every connection to it, and no other table's. Works before `start`; throws as connecting does. */
  id(): Promise<string>;

  /** This process has written a row that is due in so many milliseconds: the transport's consumers look for it then. */
  wakeIn(ms: number): void;
}

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
