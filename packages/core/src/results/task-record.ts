import type { DueTime } from '../outbox/due-time.js';
import type { TaskState } from '../state/task-state.js';

/** An error as it is stored: JSON alone. `cause` is one more of the same, at most five deep. */
export interface ErrorRecord {
  /** The error's name, such as `RangeError`. */
  readonly type: string;
  readonly message: string;
  readonly stack: string | null;
  /** A coded error's code. */
  readonly code?: string;
  readonly cause?: ErrorRecord;
}

/** One row of task_results. `args`, `kwargs`, `result` and `progress` are wire values as a driver returns them, revived values as `app.results` does. */
export interface TaskRecord {
  readonly id: string;
  /** Empty, as is `queue`, where the task was revoked before anything else was known of it. */
  readonly task: string;
  readonly state: TaskState;
  readonly attempt: number;
  /** null where they were too large to be stored, or the task was revoked before they were known. */
  readonly args: readonly unknown[] | null;
  readonly kwargs: Readonly<Record<string, unknown>> | null;
  readonly result: unknown;
  readonly error: ErrorRecord | null;
  readonly progress: unknown;
  readonly retries: number;
  readonly queue: string;
  /** `name@host:pid` of the worker that wrote it. */
  readonly worker: string | null;
  readonly parentId: string | null;
  readonly rootId: string;
  readonly groupId: string | null;
  readonly createdAt: Date;
  readonly startedAt: Date | null;
  readonly finishedAt: Date | null;
  /** When it is due, while it waits for that: PENDING with a countdown or an eta, or RETRY. */
  readonly scheduledAt: Date | null;
  /** The ends that a requeue took back, oldest first; empty for most. */
  readonly history: readonly TaskEnd[];
}

/** An end that a requeue took back. */
export interface TaskEnd {
  readonly state: TaskState;
  readonly attempt: number;
  readonly retries: number;
  readonly error: ErrorRecord | null;
  readonly worker: string | null;
  readonly finishedAt: Date;
}

/** How far a task has come, without what it carries. */
export type RecordState = Pick<TaskRecord, 'state' | 'attempt'>;

/** What one write says about a task. JSON columns come as JSON text, encoded once, by the worker. */
export interface RecordWrite {
  readonly id: string;
  readonly task: string;
  readonly state: TaskState;
  readonly attempt: number;
  readonly argsJson: string | null;
  readonly kwargsJson: string | null;
  readonly resultJson: string | null;
  readonly error: ErrorRecord | null;
  readonly progressJson: string | null;
  readonly retries: number;
  readonly queue: string;
  readonly worker: string | null;
  readonly parentId: string | null;
  readonly rootId: string;
  readonly groupId: string | null;
  /** How long the task has run, in milliseconds; null: it has not started. The database's clock less this is started_at. */
  readonly runtimeMs: number | null;
  /** When it is due, for a state that waits; null: it does not wait. */
  readonly due: DueTime | null;
}
