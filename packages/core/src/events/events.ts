import type { TaskRequest } from '../message/task-request.js';
import type { DueTime } from '../outbox/due-time.js';
import type { ErrorRecord } from '../results/task-record.js';

export type ConnectionTarget = 'broker' | 'results';

/** What a connection is for, where a driver has one for each: a worker has both, a caller the first. */
export type ConnectionRole = 'publish' | 'consume';

export interface LoopBlock {
  readonly blockedMs: number;
  /** Whose code blocked it; null: no task's, or of one that had ended. */
  readonly task: { readonly id: string; readonly name: string } | null;
  /** The frame of that code, as in a stack: `Fib.run (/app/math/tasks.ts:6:5)`; null: unknown. */
  readonly frame: string | null;
}

/** What happens in an app or a worker, by name. Logging, metrics and tracing subscribe; observers never change what happens. */
export interface LovageEvents {
  'task:sent': { readonly id: string; readonly task: string; readonly queue: string };
  'task:received': { readonly request: TaskRequest };
  'task:started': { readonly request: TaskRequest };
  'task:succeeded': {
    readonly request: TaskRequest;
    readonly resultJson: string | null;
    readonly runtimeMs: number;
  };
  'task:failed': { readonly request: TaskRequest; readonly error: ErrorRecord; readonly runtimeMs: number };
  /** It failed, and is run again `delayMs` later, for the `retries`th time. */
  'task:retried': {
    readonly request: TaskRequest;
    readonly error: ErrorRecord;
    readonly retries: number;
    readonly delayMs: number;
  };
  /** It was not run and comes back later: it was early, this worker does not know the task, or its `rateLimit` has no room for long. */
  'task:postponed': {
    readonly request: TaskRequest;
    readonly reason: 'early' | 'unknown' | 'rate';
    readonly due: DueTime;
  };
  /** It has run so long that its message is kept in the outbox, and its delivery was acknowledged. */
  'task:parked': { readonly request: TaskRequest; readonly runtimeMs: number };
  'task:revoked': { readonly request: TaskRequest; readonly reason: string };
  /** A copy of a message whose task had already ended, or is running here: not run. */
  'task:duplicate': { readonly request: TaskRequest };
  /** A message that no worker can run; it went to `deadQueue`. */
  'message:dead': {
    readonly queue: string;
    readonly deadQueue: string;
    readonly id: string | null;
    readonly reason: string;
  };
  'connection:open': { readonly target: ConnectionTarget; readonly url: string; readonly role?: ConnectionRole };
  'connection:retry': {
    readonly target: ConnectionTarget;
    readonly url: string;
    readonly attempt: number;
    readonly delayMs: number;
    readonly error: Error;
  };
  'connection:lost': {
    readonly target: ConnectionTarget;
    readonly url: string;
    readonly role?: ConnectionRole;
    readonly error: Error;
  };
  /** The broker takes no publishes for now (memory or disk alarm), and takes them again. */
  'connection:blocked': { readonly target: ConnectionTarget; readonly reason: string };
  'connection:unblocked': { readonly target: ConnectionTarget };
  'worker:ready': { readonly worker: string };
  'worker:stopping': { readonly worker: string; readonly reason: string };
  'worker:stopped': { readonly worker: string; readonly abandoned: number };
  /** The event loop of this process has not turned for so long, and turns again. Only where it is watched. */
  'loop:blocked': LoopBlock;
  /** Something that works, but not as its owner may think. */
  warning: { readonly message: string; readonly error?: Error };
}

export type EventName = keyof LovageEvents;
export type EventListener<K extends EventName> = (event: LovageEvents[K]) => void;

/** What a driver needs of the bus. */
export interface EventSink {
  emit<K extends EventName>(name: K, event: LovageEvents[K]): void;
  /** Lets a hot path skip building an event that nobody hears. */
  has(name: EventName): boolean;
}
