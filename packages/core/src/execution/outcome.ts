import type { DueTime } from '../outbox/due-time.js';
import type { ErrorRecord } from '../results/task-record.js';
import type { KnownTaskState } from '../state/task-state.js';

/** How a task ended: control flow as a value. Plain data, so that it may come from another thread. */
export type Outcome =
  /** `resultJson` is null where nobody keeps the result. */
  | { readonly kind: 'success'; readonly resultJson: string | null }
  | { readonly kind: 'failure'; readonly error: ErrorRecord }
  /** It is to be run once more, `delayMs` after the commit; `error` says why. */
  | { readonly kind: 'retry'; readonly error: ErrorRecord; readonly delayMs: number }
  /** It was not run, and is to come back later: it is early, its rate limit has no room for it, or its code is unknown here (since then, by the database's clock). No retry is spent. */
  | { readonly kind: 'postponed'; readonly due: DueTime; readonly unknownSince: Date | null }
  | { readonly kind: 'revoked'; readonly reason: string };

/** Which state each outcome leaves in the record. docs/reference/states.md renders it. */
export const OUTCOME_STATES = {
  success: 'SUCCESS',
  failure: 'FAILURE',
  retry: 'RETRY',
  postponed: 'PENDING',
  revoked: 'REVOKED',
} as const satisfies Record<Outcome['kind'], KnownTaskState>;
