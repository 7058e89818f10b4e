import type { LifeMessage, StopMessage } from '../processes/protocol.js';

/** What `lovage dev` tells its worker. */
export type ToWorker = { readonly kind: 'run' } | StopMessage;

/** What the worker tells `lovage dev`. */
export type FromWorker =
  | Exclude<LifeMessage, { readonly kind: 'loaded' }>
  /** The app is loaded and its schema migrated; the worker waits for `run`. */
  | { readonly kind: 'loaded'; readonly tasks: readonly TaskSummary[]; readonly shutdownTimeoutMs: number }
  /** Files that were loaded since the last such message; absolute paths. */
  | { readonly kind: 'files'; readonly files: readonly string[] };

export interface TaskSummary {
  readonly name: string;
  /** null: not declared. */
  readonly params: readonly string[] | null;
}
