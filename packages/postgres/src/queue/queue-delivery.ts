import type { Delivery, Message } from '@lovage/core';
import type { Row } from '../database/database.js';
import { messageOf } from '../outbox/outbox-row.js';
import type { HeldRow } from './statements.js';

/** A row that was claimed, as its consumer hands it over. */
export class QueueDelivery implements Delivery, HeldRow {
  readonly message: Message;
  readonly redelivered: boolean;
  readonly rowId: string;
  readonly deliveries: number;

  constructor(row: Row) {
    this.message = messageOf(row);
    this.rowId = row['id'] ?? '';
    this.deliveries = Number(row['deliveries']);
    this.redelivered = this.deliveries > 1;
  }
}
