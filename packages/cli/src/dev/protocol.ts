/** What `lovage dev` tells its worker. */
export type ToWorker =
  | { readonly kind: 'run' }
  /**
   * `drain`: running tasks end first, however long they take. `stop`: as at a signal, within the app's `worker.shutdownTimeout`. `now`: nobody waits any longer. A later one
   * replaces an earlier one.
   */
  | { readonly kind: 'stop'; readonly how: StopKind; readonly reason: string };

export type StopKind = 'drain' | 'stop' | 'now';

/** What the worker tells `lovage dev`. */
export type FromWorker =
  /** The app is loaded and its schema migrated; the worker waits for `run`. */
  | { readonly kind: 'loaded'; readonly tasks: readonly TaskSummary[]; readonly shutdownTimeoutMs: number }
  /** It has heard that it shall stop. */
  | { readonly kind: 'stopping' }
  /** It consumes. */
  | { readonly kind: 'ready' }
  /** Files that were loaded since the last such message; absolute paths. */
  | { readonly kind: 'files'; readonly files: readonly string[] };

export interface TaskSummary {
  readonly name: string;
  /** null: not declared. */
  readonly params: readonly string[] | null;
}
