import type { Headers, Message, OutboxMessage, ScheduledTask } from '@lovage/core';
import type { Row } from '../database/database.js';

type Properties = Pick<Message, 'contentType' | 'contentEncoding' | 'correlationId' | 'replyTo' | 'priority'>;

/** One row of outbox that was claimed: whoever claimed it has the lease. */
export function outboxMessageOf(row: Row): OutboxMessage {
  return {
    rowId: text(row, 'id'),
    taskId: text(row, 'task_id'),
    task: text(row, 'task'),
    message: {
      queue: text(row, 'queue'),
      headers: JSON.parse(text(row, 'headers')) as Headers,
      ...(JSON.parse(text(row, 'properties')) as Properties),
      body: Buffer.from(text(row, 'body'), 'utf8'),
    },
    due: null,
  };
}

export function scheduledTaskOf(row: Row): ScheduledTask {
  return {
    id: text(row, 'task_id'),
    task: text(row, 'task'),
    queue: text(row, 'queue'),
    eta: new Date(Number(row['eta'])),
    retries: Number(row['retries'] ?? 0),
    argsText: text(row, 'argsrepr'),
    createdAt: new Date(Number(row['created_at'])),
  };
}

function text(row: Row, column: string): string {
  return row[column] ?? '';
}
