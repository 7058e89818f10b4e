import type { TaskRequest } from '../message/task-request.js';
import { encodeError } from '../payload/error-record.js';
import { sanitizeJson } from '../payload/storable.js';
import type { Completion } from '../results/result-backend.js';
import type { ErrorRecord, RecordWrite } from '../results/task-record.js';
import type { TaskState } from '../state/task-state.js';
import type { TaskDefinition } from '../task/task-definition.js';
import { OUTCOME_STATES, type Outcome } from './outcome.js';

/** What a record says of a task before it has run. */
export interface CompletionDraft {
  readonly record: Omit<RecordWrite, 'state' | 'resultJson' | 'error' | 'progressJson' | 'runtimeMs'>;
  readonly replyTo: string | null;
}

export interface DraftOptions {
  /** The worker that writes the record; null: none. */
  readonly worker: string | null;
  /** The largest arguments that are stored, in bytes of JSON. */
  readonly maxSize: number;
}

/** To be taken before the task runs: it may change its arguments. */
export function draftOf(request: TaskRequest, { worker, maxSize }: DraftOptions): CompletionDraft {
  const { id, task, attempt, retries, queue, parentId, rootId, groupId, replyTo } = request;
  const argsJson = storableJson(request.args, maxSize);
  const kwargsJson = storableJson(request.kwargs, maxSize);
  return {
    record: { id, task, attempt, argsJson, kwargsJson, retries, queue, worker, parentId, rootId, groupId },
    replyTo,
  };
}

/** What an outcome leaves behind. @param runtimeMs null: the task never started. */
export function completionOf(draft: CompletionDraft, outcome: Outcome, runtimeMs: number | null): Completion {
  const resultJson = outcome.kind === 'success' ? outcome.resultJson : null;
  const record = { ...draft.record, state: OUTCOME_STATES[outcome.kind], resultJson, progressJson: null, runtimeMs };
  return { record: { ...record, error: errorOf(outcome) }, replyTo: draft.replyTo };
}

/** A state on the way: RECEIVED, STARTED, PROGRESS. Nobody is told. */
export function noteOf(
  draft: CompletionDraft,
  state: TaskState,
  { runtimeMs, progressJson }: { readonly runtimeMs: number | null; readonly progressJson: string | null },
): Completion {
  return {
    record: { ...draft.record, state, resultJson: null, error: null, progressJson, runtimeMs },
    replyTo: null,
  };
}

/** The same task as FAILURE, for a record that the backend could not store. Its arguments go too: they may be what it choked on. */
export function failureOf({ record, replyTo }: Completion, error: unknown): Completion {
  const bare = { argsJson: null, kwargsJson: null, resultJson: null, progressJson: null };
  return { record: { ...record, ...bare, state: 'FAILURE', error: encodeError(error) }, replyTo };
}

/** false: neither the task nor this call of it wants a record. */
export function leavesRecord(request: TaskRequest, definition: TaskDefinition | undefined): boolean {
  return request.ignoreResult !== true && definition?.ignoreResult !== true;
}

function errorOf(outcome: Outcome): ErrorRecord | null {
  if (outcome.kind === 'failure') return outcome.error;
  if (outcome.kind === 'revoked')
    return { type: 'TaskRevokedError', message: outcome.reason, stack: null, code: 'LOVAGE_TASK_REVOKED' };
  return null;
}

// Arguments are stored for people to read: too large is null, what the database refuses is replaced; never a reason to fail the task.
function storableJson(value: unknown, maxSize: number): string | null {
  try {
    const json = JSON.stringify(value);
    return json.length * 3 > maxSize && Buffer.byteLength(json) > maxSize ? null : sanitizeJson(json);
  } catch {
    return null;
  }
}
