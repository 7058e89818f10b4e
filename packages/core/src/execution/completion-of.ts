import { LovageError } from '../errors/lovage-error.js';
import type { Message } from '../message/message.js';
import { headersProblem } from '../message/sendable.js';
import { resend } from '../message/task-codec.js';
import type { TaskRequest } from '../message/task-request.js';
import type { DueTime } from '../outbox/due-time.js';
import type { OutboxMessage } from '../outbox/outbox.js';
import { encodeError } from '../payload/error-record.js';
import { sanitizeJson } from '../payload/storable.js';
import type { Completion } from '../results/result-backend.js';
import type { ErrorRecord, RecordWrite } from '../results/task-record.js';
import type { Runtime } from '../runtime/runtime.js';
import type { MessageSigner } from '../security/message-signer.js';
import type { TaskState } from '../state/task-state.js';
import type { TaskDefinition } from '../task/task-definition.js';
import { OUTCOME_STATES, type Outcome } from './outcome.js';

const NONE: readonly OutboxMessage[] = Object.freeze([]);

/** What a record says of how far its task has come. */
type RecordEnd = Pick<
  RecordWrite,
  'state' | 'attempt' | 'retries' | 'resultJson' | 'error' | 'progressJson' | 'runtimeMs' | 'due'
>;

/** Nothing yet. */
const BARE = { resultJson: null, error: null, progressJson: null, runtimeMs: null, due: null } as const;

type AgainOutcome = Extract<Outcome, { readonly kind: 'retry' | 'postponed' }>;

/** What is known of a task before it has run. */
export interface CompletionDraft {
  readonly request: TaskRequest;
  readonly argsJson: string | null;
  readonly kwargsJson: string | null;
  readonly worker: string | null;
  /** What is sent once more if the task is to run again. */
  readonly message: Message;
}

export interface DraftOptions {
  /** The worker that writes the record; null: none. */
  readonly worker: string | null;
  /** The largest arguments that are stored, in bytes of JSON. */
  readonly maxSize: number;
  /** The message that the request was read from. */
  readonly message: Message;
}

/** What is known of an execution at its end. */
export interface EndOptions {
  /** null: the task never started. */
  readonly runtimeMs: number | null;
  readonly runtime: Pick<Runtime, 'uuid'>;
  /** What is due at once is sent right after the commit, by whoever commits; false: it is delivered from where it is written (`isQueueTable`). */
  readonly sends: boolean;
  /** The row that the message was parked in; null: none. */
  readonly parkedRow: string | null;
  /** Signs what is sent once more; null: messages are not signed. */
  readonly signer: MessageSigner | null;
}

/** To be taken before the task runs: it may change its arguments. */
export function draftOf(request: TaskRequest, { worker, maxSize, message }: DraftOptions): CompletionDraft {
  const argsJson = storableJson(request.args, maxSize);
  const kwargsJson = storableJson(request.kwargs, maxSize);
  return { request, argsJson, kwargsJson, worker, message };
}

/** What an outcome leaves behind. A task that is to run again and whose message no broker would take once more ends FAILURE instead (LOVAGE_PAYLOAD). */
export function completionOf(draft: CompletionDraft, outcome: Outcome, options: EndOptions): Completion {
  if (outcome.kind === 'retry' || outcome.kind === 'postponed') return againOf(draft, outcome, options);
  const { attempt, retries } = draft.request;
  const record = recordOf(draft, {
    state: OUTCOME_STATES[outcome.kind],
    attempt,
    retries,
    resultJson: outcome.kind === 'success' ? outcome.resultJson : null,
    error: errorOf(outcome),
    progressJson: null,
    runtimeMs: options.runtimeMs,
    due: null,
  });
  return completed(draft, record, { followUps: NONE, parkedRow: options.parkedRow });
}

/** The record announces the next attempt, and the message that makes it is written with it (rule 2). */
function againOf(draft: CompletionDraft, outcome: AgainOutcome, options: EndOptions): Completion {
  const { id: taskId, task } = draft.request;
  const attempt = draft.request.attempt + 1;
  const retries = draft.request.retries + (outcome.kind === 'retry' ? 1 : 0);
  const unknownSince = outcome.kind === 'postponed' ? outcome.unknownSince : null;
  const again = resend(draft.message, { attempt, retries, unknownSince });
  const message = options.signer?.sign(again) ?? again;
  const reason = headersProblem(message);
  if (reason !== null) return completionOf(draft, { kind: 'failure', error: cannotWait(reason, outcome) }, options);
  const due = outcome.kind === 'retry' ? { inMs: outcome.delayMs } : outcome.due;
  const isNow = options.sends && 'inMs' in due && due.inMs <= 0;
  const record = recordOf(draft, {
    state: OUTCOME_STATES[outcome.kind],
    attempt,
    retries,
    resultJson: null,
    error: errorOf(outcome),
    progressJson: null,
    runtimeMs: options.runtimeMs,
    due,
  });
  const followUps = [{ rowId: options.runtime.uuid(), taskId, task, message, due: isNow ? null : due }];
  return completed(draft, record, { followUps, parkedRow: options.parkedRow });
}

/** The message as it came, to be parked for so many milliseconds (`Outbox.park`); null: no broker would take it once more. */
export function parkedOf(
  { request: { id: taskId, task, attempt, retries }, message }: CompletionDraft,
  {
    rowId,
    leaseMs,
    signer,
  }: { readonly rowId: string; readonly leaseMs: number; readonly signer: MessageSigner | null },
): OutboxMessage | null {
  const again = resend(message, { attempt, retries, unknownSince: null });
  const signed = signer?.sign(again) ?? again;
  if (headersProblem(signed) !== null) return null;
  return { rowId, taskId, task, message: signed, due: { inMs: leaseMs } };
}

function cannotWait(reason: string, outcome: AgainOutcome): ErrorRecord {
  const error = encodeError(new LovageError('LOVAGE_PAYLOAD', `the message cannot be sent once more: ${reason}`));
  return outcome.kind === 'retry' ? { ...error, cause: outcome.error } : error;
}

/** The record of a call that has been written and not sent yet. */
export function pendingOf(draft: CompletionDraft, due: DueTime | null): RecordWrite {
  const { attempt, retries } = draft.request;
  return recordOf(draft, { ...BARE, state: 'PENDING', attempt, retries, due });
}

/** A state on the way: RECEIVED, STARTED, PROGRESS. Nobody is told. */
export function noteOf(
  draft: CompletionDraft,
  state: TaskState,
  { runtimeMs, progressJson }: { readonly runtimeMs: number | null; readonly progressJson: string | null },
): Completion {
  const { attempt, retries } = draft.request;
  const record = recordOf(draft, { ...BARE, state, attempt, retries, progressJson, runtimeMs });
  return { record, replyTo: null, followUps: NONE, uniqueKey: null, parkedRow: null };
}

/** The same task as FAILURE, for a completion that the backend could not store. Its arguments and follow-ups go too: they may be what it choked on. */
export function failureOf(completion: Completion, error: unknown): Completion {
  const bare = { argsJson: null, kwargsJson: null, resultJson: null, progressJson: null, due: null };
  const record: RecordWrite = { ...completion.record, ...bare, state: 'FAILURE', error: encodeError(error) };
  return { ...completion, record, followUps: NONE };
}

/** The result is of interest to somebody. */
export function keepsResult(request: TaskRequest, definition: TaskDefinition | null): boolean {
  return request.ignoreResult !== true && definition?.ignoreResult !== true;
}

/**
 * false: this task ends without a record, as nobody wants its result. One that is to run again or has, or that holds a unique key, has a record all the same:
 * what it causes is joined to it (rule 1). So has one whose record was written with the call, and one that was not run at all (expired, of an unknown task, or poison).
 */
export function leavesRecord(request: TaskRequest, definition: TaskDefinition | null, outcome?: Outcome): boolean {
  if (keepsResult(request, definition) || request.tracked || request.attempt > 0 || request.unique !== null)
    return true;
  if (outcome === undefined || outcome.kind === 'success') return false;
  return outcome.kind !== 'failure' || definition === null || outcome.error.code === 'LOVAGE_POISON';
}

// Each property by name: copied with `...`, it took three times as long, of all that this does for a task.
function recordOf({ request, argsJson, kwargsJson, worker }: CompletionDraft, end: RecordEnd): RecordWrite {
  const { id, task, queue, parentId, rootId, groupId } = request;
  const { state, attempt, retries, resultJson, error, progressJson, runtimeMs, due } = end;
  return {
    id,
    task,
    state,
    attempt,
    argsJson,
    kwargsJson,
    resultJson,
    error,
    progressJson,
    retries,
    queue,
    worker,
    parentId,
    rootId,
    groupId,
    runtimeMs,
    due,
  };
}

function completed(
  { request }: CompletionDraft,
  record: RecordWrite,
  { followUps, parkedRow }: Pick<Completion, 'followUps' | 'parkedRow'>,
): Completion {
  return { record, replyTo: request.replyTo, followUps, uniqueKey: request.unique?.key ?? null, parkedRow };
}

function errorOf(outcome: Outcome): ErrorRecord | null {
  if (outcome.kind === 'failure' || outcome.kind === 'retry') return outcome.error;
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
