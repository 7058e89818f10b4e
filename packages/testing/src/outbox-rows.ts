import {
  type Completion,
  type Message,
  type Outbox,
  type OutboxCall,
  type OutboxMessage,
  type RecordWrite,
  type ResultBackend,
  type UniqueClaim,
  uniqueKey,
} from '@lovage/core';
import { completion, newId, recordWrite } from './records.js';

export const NOW = { inMs: 0 } as const;
export const HOUR_MS = 3_600_000;

export function outboxOf(backend: ResultBackend): Outbox {
  const { outbox } = backend.capabilities;
  expect(outbox).toBeDefined();
  return outbox as Outbox;
}

export function messageOf(taskId: string, headers: Message['headers'] = {}): Message {
  return {
    queue: 'conformance',
    headers: { lang: 'js', task: 'conformance.task', id: taskId, retries: 0, argsrepr: '[1,2]', ...headers },
    contentType: 'application/json',
    contentEncoding: 'utf-8',
    correlationId: taskId,
    replyTo: null,
    priority: null,
    body: Buffer.from('[[1,2], {}, {"chain": null}]'),
  };
}

/** A row that is due now, unless told otherwise. */
export function rowOf(fields: Partial<OutboxMessage> = {}): OutboxMessage {
  const taskId = fields.taskId ?? newId();
  return { rowId: newId(), taskId, task: 'conformance.task', message: messageOf(taskId), due: NOW, ...fields };
}

export function pending(record: RecordWrite): RecordWrite {
  return { ...record, state: 'PENDING', resultJson: null, runtimeMs: null };
}

/** A call that is due now and leaves a record, unless told otherwise. */
export function callOf(fields: Partial<OutboxCall> = {}): OutboxCall {
  const { unique = null } = fields;
  const row = rowOf(fields);
  const headers = unique === null ? {} : { unique: `${unique.scope}:${unique.key}` };
  const waits = row.due !== null && row.due !== NOW;
  return {
    ...row,
    message: fields.message ?? messageOf(row.taskId, headers),
    record: pending(recordWrite({ id: row.taskId, task: row.task, due: waits ? row.due : null })),
    unique,
    ...fields,
  };
}

export function claimOf(
  scope: UniqueClaim['scope'],
  { name = newId(), ttlMs = HOUR_MS }: { readonly name?: string; readonly ttlMs?: number } = {},
): UniqueClaim {
  return { key: uniqueKey('conformance.task', name), scope, ttlMs };
}

/** What the attempt of a task leaves behind that is to be retried. */
export function retryOf(id: string, attempt = 0, due: OutboxMessage['due'] = NOW): Completion {
  const next = { attempt: attempt + 1, retries: attempt + 1 };
  const record = recordWrite({ id, state: 'RETRY', ...next, resultJson: null, due: due ?? NOW });
  return completion(record, { followUps: [rowOf({ taskId: id, message: messageOf(id, next), due })] });
}
