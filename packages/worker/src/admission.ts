import {
  LovageError,
  decodeTask,
  encodeError,
  taskIdOf,
  type Message,
  type MessageRules,
  type Outcome,
  type TaskDefinition,
  type TaskRegistry,
  type TaskRequest,
} from '@lovage/core';

/** What is to be done with a message. `run` alone is run; `end` has its outcome already. */
export type Decision =
  | { readonly kind: 'run'; readonly request: TaskRequest; readonly definition: TaskDefinition }
  | {
      readonly kind: 'end';
      readonly request: TaskRequest;
      /** null: the task is unknown. */
      readonly definition: TaskDefinition | null;
      readonly outcome: Outcome;
    }
  | { readonly kind: 'dead'; readonly id: string | null; readonly reason: string };

export interface AdmissionOptions {
  readonly tasks: TaskRegistry;
  readonly rules: MessageRules;
  /** Milliseconds since 1970, by the database's clock (rule 8). */
  readonly now: number;
  /** How long a task that no worker knows is postponed (rule 12), in milliseconds; null: there is no outbox to keep what comes too early. */
  readonly unknownTaskGraceMs: number | null;
}

const SHORTEST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 60_000;

/** Turns away what must not run: not to be trusted, unreadable, expired, too early, of an unknown task. Total: never throws. */
export function admit(message: Message, { tasks, rules, now, unknownTaskGraceMs }: AdmissionOptions): Decision {
  const request = readTask(message, rules);
  if (typeof request === 'string') return { kind: 'dead', id: taskIdOf(message), reason: request };
  const definition = tasks.get(request.task) ?? null;
  const { id } = request;
  if (definition === null && unknownTaskGraceMs === null) return { kind: 'dead', id, reason: unknownText(request) };
  if (hasExpired(request, now)) {
    return { kind: 'end', request, definition, outcome: { kind: 'revoked', reason: 'expired' } };
  }
  if (request.eta !== null && request.eta.getTime() > now) {
    if (unknownTaskGraceMs === null) return { kind: 'dead', id, reason: earlyText(request.eta) };
    const outcome: Outcome = { kind: 'postponed', due: { at: request.eta }, unknownSince: null };
    return { kind: 'end', request, definition, outcome };
  }
  if (definition === null) {
    return { kind: 'end', request, definition, outcome: unknownOutcome(request, now, unknownTaskGraceMs ?? 0) };
  }
  return { kind: 'run', request, definition };
}

/** Too late to start it. */
export function hasExpired({ expires }: TaskRequest, now: number): boolean {
  return expires !== null && expires.getTime() <= now;
}

/** The task of a message, or why it cannot be read, or must not be. */
export function readTask(message: Message, rules: MessageRules): TaskRequest | string {
  try {
    return decodeTask(message, rules);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

// Waits as long as it has waited: soon where a deploy is under way, seldom where it is forgotten.
function unknownOutcome(request: TaskRequest, now: number, graceMs: number): Outcome {
  const since = request.unknownSince?.getTime() ?? now;
  const waitedMs = Math.max(0, now - since);
  if (waitedMs >= graceMs) {
    const text = `${unknownText(request)} It waited ${Math.round(waitedMs / 1000)} s for one that does (worker.unknownTaskGrace); run it then with: lovage retry ${request.id}`;
    return { kind: 'failure', error: encodeError(new LovageError('LOVAGE_NOT_REGISTERED', text)) };
  }
  const inMs = Math.min(Math.max(waitedMs, SHORTEST_WAIT_MS), LONGEST_WAIT_MS, graceMs - waitedMs);
  return { kind: 'postponed', due: { inMs }, unknownSince: new Date(since) };
}

function unknownText({ task }: TaskRequest): string {
  return `no task named '${task}' is registered in this worker: add its module to the app's autodiscover, or send it to a queue whose workers know it.`;
}

function earlyText(eta: Date): string {
  return `eta ${eta.toISOString()} is in the future, and without results there is no outbox to keep it until then: configure results, or send it without eta and countdown`;
}
