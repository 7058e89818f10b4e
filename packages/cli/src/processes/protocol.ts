import type { LastWords } from '@lovage/worker';

/** How a worker is to stop. A later request replaces an earlier one. */
export type StopKind =
  /** Running tasks end first, however long they take. */
  | 'drain'
  /** As at a signal: within `worker.shutdownTimeout`. */
  | 'stop'
  /** Nobody waits any longer. */
  | 'now';

/** What every parent tells its worker. */
export interface StopMessage {
  readonly kind: 'stop';
  readonly how: StopKind;
  readonly reason: string;
}

/** What every worker tells its parent. */
export type LifeMessage =
  /** The app is loaded. */
  | { readonly kind: 'loaded'; readonly shutdownTimeoutMs: number }
  /** It consumes. */
  | { readonly kind: 'ready' }
  /** It has heard that it shall stop. */
  | { readonly kind: 'stopping' };

/** What the supervisor of `lovage worker --processes` tells its workers. */
export type ToWorker =
  /** The first message: what `lovage worker` was started with. */
  { readonly kind: 'start'; readonly start: WorkerStart } | StopMessage;

export interface WorkerStart {
  /** As yargs gave them. */
  readonly flags: Readonly<Record<string, unknown>>;
  /** Which of the processes it is, from 1. */
  readonly process: number;
  /** Of them there are so many. */
  readonly processes: number;
  /** It speaks for all: its banner is shown. */
  readonly first: boolean;
  /** Of processes that are killed once it is ready. */
  readonly lastWords: readonly LastWords[];
}

/** What they tell the supervisor. */
export type FromWorker =
  | LifeMessage
  /** Sent each second: one that does not come tells of a blocked event loop. */
  | {
      readonly kind: 'beat';
      readonly consuming: boolean;
      /** The names of those that it runs, for people; null: none. */
      readonly tasks: string | null;
    }
  /** It has had enough, and is to be replaced. */
  | { readonly kind: 'full'; readonly reason: string };
