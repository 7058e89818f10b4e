import { isUtf8 } from 'node:buffer';
import type { Headers, Message, OutboxMessage, ScheduledTask } from '@lovage/core';
import type { Row } from '../database/database.js';

type Properties = Pick<Message, 'contentType' | 'contentEncoding' | 'correlationId' | 'replyTo' | 'priority'> & {
  /** How `body` is written; absent: as it is. */
  readonly bodyEncoding?: 'base64';
};

/** The columns `headers`, `properties` and `body`. */
export function messageOf(row: Row): Message {
  const { bodyEncoding = 'utf8', ...properties } = JSON.parse(text(row, 'properties')) as Properties;
  return {
    queue: text(row, 'queue'),
    headers: JSON.parse(text(row, 'headers')) as Headers,
    ...properties,
    body: Buffer.from(text(row, 'body'), bodyEncoding),
  };
}

export function propertiesOf(message: Message): string {
  const { contentType, contentEncoding, correlationId, replyTo, priority } = message;
  const bodyEncoding = isText(message.body) ? {} : { bodyEncoding: 'base64' };
  return JSON.stringify({ contentType, contentEncoding, correlationId, replyTo, priority, ...bodyEncoding });
}

/** As text, which people can read in the table; base64 where the bytes are none. */
export function bodyOf({ body }: Message): string {
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString(isText(body) ? 'utf8' : 'base64');
}

function isText(body: Uint8Array): boolean {
  return isUtf8(body) && !body.includes(0);
}

/** One row of outbox that was claimed: whoever claimed it has the lease. */
export function outboxMessageOf(row: Row): OutboxMessage {
  return {
    rowId: text(row, 'id'),
    taskId: text(row, 'task_id'),
    task: text(row, 'task'),
    message: messageOf(row),
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
