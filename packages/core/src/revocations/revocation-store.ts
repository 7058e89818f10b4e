import type { FinalTaskState } from '../state/task-state.js';

/** A task that is not to run, or not to run on. */
export interface Revocation {
  readonly id: string;
  /** true: where it runs it is stopped. */
  readonly terminate: boolean;
  /** For people. */
  readonly reason: string;
}

/** What became of a task that was to be revoked. */
export interface RevokeResult {
  readonly id: string;
  /** REVOKED, by this call or before it; or the other end that the task had reached already, which stays. */
  readonly state: FinalTaskState;
}

/** Keeps what is revoked, beside the records: the capability `revocations` of a result backend. */
export interface RevocationStore {
  /**
   * Ends tasks REVOKED that have not ended yet, known or not. One commit for each batch: a task's messages that nobody has been given leave the outbox, its revocation is written, its
   * record becomes REVOKED (a new one where there is none, with an empty `task` and `queue` if nothing is known of it), and its unique keys are freed. A task that runs all the same can
   * commit nothing any more. Waiters and those who `watch` are told after the commit. A task that is REVOKED already keeps its end, and its revocation is as new; `terminate` stays once it was true.
   *
   * One result an id, in order; no id is given twice. Rejects with LOVAGE_RESULTS_UNAVAILABLE also where somebody's open transaction holds one of the records: all others have been revoked then,
   * and the same call may be made again.
   */
  revoke(
    ids: readonly string[],
    options: { readonly terminate: boolean; readonly reason: string },
  ): Promise<readonly RevokeResult[]>;

  /** All that was revoked within the last `ageMs`, by the store's own clock. */
  recent(ageMs: number): Promise<readonly Revocation[]>;

  /** Calls back when something was revoked, by whatever process; what is returned ends that. Best effort: whoever watches reads now and then as well. */
  watch(onWake: () => void): () => void;

  /** Deletes revocations that are older, at most `limit`; resolves with how many. Records stay. */
  expire(ageMs: number, limit: number): Promise<number>;
}
