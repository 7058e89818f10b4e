import type { Completion, DueTime, EventSink, LovageEvents, TaskRequest } from '@lovage/core';

/** Tells observers how a task ended; after the commit, so that what they hear is true. */
export function announce(events: EventSink, request: TaskRequest, completion: Completion): void {
  const { record } = completion;
  const runtimeMs = record.runtimeMs ?? 0;
  const { due, error, retries } = record;
  if (record.state === 'SUCCESS') {
    events.emit('task:succeeded', { request, resultJson: record.resultJson, runtimeMs });
  } else if (record.state === 'REVOKED') {
    events.emit('task:revoked', { request, reason: record.error?.message ?? '' });
  } else if (record.state === 'PENDING' && due !== null) {
    events.emit('task:postponed', { request, reason: reasonOf(completion, due), due });
  } else if (record.state === 'RETRY' && error !== null) {
    events.emit('task:retried', { request, error, retries, delayMs: delayOf(due) });
  } else if (error !== null) {
    events.emit('task:failed', { request, error, runtimeMs });
  }
}

/** The early one says itself when it is due, the unknown one since when it is. */
function reasonOf({ followUps }: Completion, due: DueTime): LovageEvents['task:postponed']['reason'] {
  if ('at' in due) return 'early';
  return followUps.some(({ message }) => 'unknown_since' in message.headers) ? 'unknown' : 'rate';
}

function delayOf(due: DueTime | null): number {
  return due !== null && 'inMs' in due ? due.inMs : 0;
}
