import { LovageError, isLovageError } from '../errors/lovage-error.js';
import type { TaskRequest } from '../message/task-request.js';
import { encodeError } from '../payload/error-record.js';
import { encodeResult } from '../payload/payload-mapper.js';
import { sanitizeJson } from '../payload/storable.js';
import type { Completion } from '../results/result-backend.js';
import type { RecordWrite } from '../results/task-record.js';
import type { TaskState } from '../state/task-state.js';
import type { TaskDefinition } from '../task/task-definition.js';
import { OUTCOME_STATES, type Outcome } from './outcome.js';

export interface CompletionOptions {
  /** null: the task is not known here (its message was taken out by the broker, say). */
  readonly definition: TaskDefinition | null;
  readonly worker: string | null;
  /** null: the task never started. */
  readonly runtimeMs: number | null;
  /** The largest result and arguments that are stored, in bytes of JSON. */
  readonly maxSize: number;
}

/** What an outcome leaves behind; null where it leaves nothing. A result that cannot be stored becomes FAILURE. */
export function completionOf(request: TaskRequest, outcome: Outcome, options: CompletionOptions): Completion | null {
  const state = OUTCOME_STATES[outcome.kind];
  if (state === null) return null;
  const base = recordOf(request, state, options);
  switch (outcome.kind) {
    case 'success':
      return succeeded(base, outcome.result, request.replyTo, options);
    case 'failure':
      return { record: { ...base, error: encodeError(outcome.error) }, wake: request.replyTo };
    default: {
      const reason = outcome.kind === 'revoked' ? outcome.reason : '';
      const error = encodeError(new LovageError('LOVAGE_TASK_REVOKED', reason));
      return { record: { ...base, error: { ...error, stack: null } }, wake: request.replyTo };
    }
  }
}

/** A non-final state of a running task: RECEIVED, STARTED, PROGRESS. */
export function stateWrite(
  request: TaskRequest,
  state: TaskState,
  options: CompletionOptions & { readonly progressJson?: string },
): Completion {
  return { record: { ...recordOf(request, state, options), progressJson: options.progressJson ?? null }, wake: null };
}

/** The same task as FAILURE, for a record that the backend could not store. Its arguments go too: they may be what it choked on. */
export function failureOf(completion: Completion, error: unknown): Completion {
  const record = {
    ...completion.record,
    state: 'FAILURE',
    argsJson: null,
    kwargsJson: null,
    resultJson: null,
    progressJson: null,
  };
  return { record: { ...record, error: encodeError(error) }, wake: completion.wake };
}

function succeeded(base: RecordWrite, result: unknown, wake: string | null, options: CompletionOptions): Completion {
  try {
    const resultJson = options.definition === null ? 'null' : encodeResult(options.definition, result, options.maxSize);
    return { record: { ...base, resultJson }, wake };
  } catch (error) {
    const coded = isLovageError(error)
      ? error
      : new LovageError('LOVAGE_RESULT_NOT_STORABLE', 'the result could not be encoded', { cause: error });
    return { record: { ...base, state: 'FAILURE', error: encodeError(coded) }, wake };
  }
}

function recordOf(request: TaskRequest, state: TaskState, options: CompletionOptions): RecordWrite {
  return {
    id: request.id,
    task: request.task,
    state,
    attempt: request.attempt,
    argsJson: storableJson(request.args, options.maxSize),
    kwargsJson: storableJson(request.kwargs, options.maxSize),
    resultJson: null,
    error: null,
    progressJson: null,
    retries: request.retries,
    queue: request.queue,
    worker: options.worker,
    parentId: request.parentId,
    rootId: request.rootId,
    groupId: request.groupId,
    runtimeMs: options.runtimeMs,
  };
}

// Arguments are stored for people to read: too large is null, what the database refuses is replaced; never a reason to fail the task.
function storableJson(value: unknown, maxSize: number): string | null {
  try {
    const json = JSON.stringify(value);
    return json.length > maxSize ? null : sanitizeJson(json);
  } catch {
    return null;
  }
}
