import { LovageError } from '../errors/lovage-error.js';
import { reviveError } from '../payload/error-record.js';
import { decodeResult } from '../payload/payload-mapper.js';
import type { KnownTaskState } from '../state/task-state.js';
import type { TaskDefinition } from '../task/task-definition.js';
import type { TaskRecord } from './task-record.js';

/** A task as it stands, by its state. */
export type TaskSnapshot<Result = unknown> =
  | { readonly state: 'PENDING' | 'RECEIVED' | 'STARTED' }
  | { readonly state: 'PROGRESS'; readonly progress: unknown }
  /** It failed with `error` and is run again at `retryAt`. */
  | { readonly state: 'RETRY'; readonly error: Error; readonly retryAt: Date | null }
  | { readonly state: 'SUCCESS'; readonly result: Result }
  | { readonly state: 'FAILURE'; readonly error: Error }
  | { readonly state: 'REVOKED'; readonly error: Error };

/** What a record says. No record: PENDING, which may also mean that the id is unknown. `definition` revives the result by @Returns. */
export function snapshotOf<Result>(
  record: TaskRecord | undefined,
  definition: TaskDefinition | null,
): TaskSnapshot<Result> {
  if (record === undefined) return { state: 'PENDING' };
  const state = record.state as KnownTaskState;
  switch (state) {
    case 'SUCCESS':
      return { state: 'SUCCESS', result: decodeResult(definition, record.result) as Result };
    case 'FAILURE':
      return { state: 'FAILURE', error: errorOf(record) };
    case 'RETRY':
      return { state: 'RETRY', error: errorOf(record), retryAt: record.scheduledAt };
    case 'REVOKED': {
      const reason = record.error?.message ?? 'revoked';
      return {
        state: 'REVOKED',
        error: new LovageError('LOVAGE_TASK_REVOKED', `task ${nameOf(record)} was revoked: ${reason}`),
      };
    }
    case 'RECEIVED':
    case 'STARTED':
    case 'PENDING':
      return { state };
    default:
      return { state: 'PROGRESS', progress: decodeResult(null, record.progress) };
  }
}

// A task that was revoked before anything was known of it.
function nameOf({ task, id }: TaskRecord): string {
  return task === '' ? id : `${task} ${id}`;
}

function errorOf({ error }: TaskRecord): Error {
  return error === null ? new Error('unknown') : reviveError(error);
}
