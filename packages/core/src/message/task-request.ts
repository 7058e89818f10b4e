import type { UniqueClaim } from '../outbox/outbox.js';
import type { TimeLimits } from '../task/time-limits.js';
import type { Headers } from './message.js';

/** One call of a task without its arguments: what protocol 2's headers and properties carry, in our names. Immutable. */
export interface TaskEnvelope {
  /** Up to 255 characters; a UUIDv7 unless the caller named one. */
  readonly id: string;
  readonly task: string;
  readonly queue: string;
  /** Rises with a retry or a requeue, never with a redelivery. From 0. */
  readonly attempt: number;
  /** How often the task has been retried. From 0. */
  readonly retries: number;
  /** Not to be run after this instant; null: no limit. */
  readonly expires: Date | null;
  /** Not to be run before this instant; null: at once. */
  readonly eta: Date | null;
  /** The task that sent this one, if one did. */
  readonly parentId: string | null;
  /** The first task of the workflow; the own id when there is none. */
  readonly rootId: string;
  readonly groupId: string | null;
  /** 0 to 255; null: the queue's own default. */
  readonly priority: number | null;
  /** What logs show in place of the task's name. */
  readonly shadow: string | null;
  /** null: as the task's own option says. */
  readonly ignoreResult: boolean | null;
  /** The call's own limits; null: as the task's own options say. */
  readonly timeLimits: TimeLimits | null;
  /** Where the caller listens for the end (rule 9); null: it does not. */
  readonly replyTo: string | null;
  /** A relay, a publisher or a caller may have sent this id before: its record is read before it runs (rule 3). */
  readonly republished: boolean;
  /** The unique key that the task holds, if any. */
  readonly unique: Pick<UniqueClaim, 'scope' | 'key'> | null;
  /** Its record was written with the call, so that its end is recorded whatever the worker's own code says of results. */
  readonly tracked: boolean;
  /** Since when workers have not known the task (rule 12); null: they do, as far as is known. */
  readonly unknownSince: Date | null;
  /** Who sent it: `pid@host`, for people. */
  readonly origin: string;
  /** The caller's own headers. */
  readonly headers: Headers;
}

/** A call with its arguments, as decoded from a message: wire values, that is plain JSON with the wire's tags still in place. */
export interface TaskRequest extends TaskEnvelope {
  readonly args: readonly unknown[];
  readonly kwargs: Readonly<Record<string, unknown>>;
}
