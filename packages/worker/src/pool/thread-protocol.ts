import type { ErrorCode, ErrorRecord, Outcome, TaskLogger, TaskRequest } from '@lovage/core';

/** What a thread is started with. */
export interface ThreadSetup {
  /** As AppSource. */
  readonly app: string;
  readonly cwd: string;
  readonly loader: string | null;
  /** Where the worker's own app sends and stores: so do the tasks in a thread, whoever said so. */
  readonly services: { readonly broker?: readonly string[]; readonly results?: string | null };
}

/** One call of a task, and what it may. */
export interface ThreadRun {
  readonly request: TaskRequest;
  readonly maxResultSize: number | null;
  readonly canRetry: boolean;
}

/** Why a task must end. Errors lose their class on the way. */
export interface ThreadAbort {
  readonly code: ErrorCode;
  readonly message: string;
  /** The worker can wait no longer: a failure says nothing about the task. */
  readonly isInterruption: boolean;
}

export type ToThread =
  | { readonly kind: 'run'; readonly run: ThreadRun }
  | { readonly kind: 'abort'; readonly abort: ThreadAbort }
  /** End by yourself: close what the app has opened. */
  | { readonly kind: 'stop' };

export interface ThreadLine {
  readonly level: keyof TaskLogger;
  readonly message: string;
  readonly meta: object | undefined;
  /** null: it belongs to no task. */
  readonly task: Pick<TaskRequest, 'id' | 'task'> | null;
}

export type FromThread =
  /** The app is there, with these tasks. */
  | { readonly kind: 'loaded'; readonly tasks: readonly string[] }
  | { readonly kind: 'failed'; readonly error: ErrorRecord }
  | { readonly kind: 'line'; readonly line: ThreadLine }
  | { readonly kind: 'progress'; readonly json: string }
  | { readonly kind: 'ended'; readonly outcome: Outcome };
