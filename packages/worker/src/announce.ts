import type { Completion, EventSink, TaskRequest } from '@lovage/core';

/** Tells observers how a task ended; after the commit, so that what they hear is true. */
export function announce(events: EventSink, request: TaskRequest, { record }: Completion): void {
  const runtimeMs = record.runtimeMs ?? 0;
  if (record.state === 'SUCCESS') {
    events.emit('task:succeeded', { request, resultJson: record.resultJson, runtimeMs });
  } else if (record.state === 'REVOKED') {
    events.emit('task:revoked', { request, reason: record.error?.message ?? '' });
  } else if (record.error !== null) {
    events.emit('task:failed', { request, error: record.error, runtimeMs });
  }
}
