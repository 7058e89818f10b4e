import {
  type Message,
  type Outbox,
  type OutboxCall,
  type OutboxMessage,
  type ResultBackend,
  type UniqueClaim,
  systemRuntime,
  uniqueKey,
} from '@lovage/core';
import { recordWrite } from './support.js';

export function outboxOf(backend: ResultBackend): Outbox {
  const { outbox } = backend.capabilities;
  if (outbox === undefined) throw new TypeError('expected the backend to have an outbox');
  return outbox;
}

/** A row that is due now, unless told otherwise. */
export function outboxMessage(fields: Partial<OutboxMessage> = {}): OutboxMessage {
  const taskId = fields.taskId ?? systemRuntime.uuid();
  const message: Message = {
    queue: 'test',
    headers: { task: 'test.task', id: taskId, retries: 0, argsrepr: '[1,2]' },
    contentType: 'application/json',
    contentEncoding: 'utf-8',
    correlationId: taskId,
    replyTo: null,
    priority: null,
    body: Buffer.from('[[1,2], {}, {}]'),
  };
  return { rowId: systemRuntime.uuid(), taskId, task: 'test.task', message, due: { inMs: 0 }, ...fields };
}

/** A call with its record, due now, unless told otherwise. */
export function outboxCall(fields: Partial<OutboxCall> = {}): OutboxCall {
  const message = outboxMessage(fields);
  const record = recordWrite({ id: message.taskId, state: 'PENDING', resultJson: null });
  return { ...message, record, unique: null, ...fields };
}

export function uniqueClaim(fields: Partial<UniqueClaim> = {}): UniqueClaim {
  return { key: uniqueKey('test.task', systemRuntime.uuid()), scope: 'running', ttlMs: 60_000, ...fields };
}
