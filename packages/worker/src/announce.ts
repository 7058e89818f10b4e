import type { Completion, DueTime, EventSink, TaskRequest } from '@lovage/core';

/** Tells observers how a task ended; after the commit, so that what they hear is true. */
export function announce(events: EventSink, request: TaskRequest, { record }: Completion): void {
  const runtimeMs = record.runtimeMs ?? 0;
  const { due, error, retries } = record;
  if (record.state === 'SUCCESS') {
    events.emit('task:succeeded', { request, resultJson: record.resultJson, runtimeMs });
  } else if (record.state === 'REVOKED') {
    events.emit('task:revoked', { request, reason: record.error?.message ?? '' });
  } else if (record.state === 'PENDING' && due !== null) {
    // The early one says itself when it is due; how long an unknown one waits is decided here.
    events.emit('task:postponed', { request, reason: 'at' in due ? 'early' : 'unknown', due });
  } else if (record.state === 'RETRY' && error !== null) {
    events.emit('task:retried', { request, error, retries, delayMs: delayOf(due) });
  } else if (error !== null) {
    events.emit('task:failed', { request, error, runtimeMs });
  }
}

function delayOf(due: DueTime | null): number {
  return due !== null && 'inMs' in due ? due.inMs : 0;
}
