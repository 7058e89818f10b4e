import type { ErrorRecord } from '../results/task-record.js';
import type { FinalTaskState } from '../state/task-state.js';

/** How a task ended: control flow as a value. Plain data, so that it may come from another thread. */
export type Outcome =
  /** `resultJson` is null where nobody keeps the result. */
  | { readonly kind: 'success'; readonly resultJson: string | null }
  | { readonly kind: 'failure'; readonly error: ErrorRecord }
  | { readonly kind: 'revoked'; readonly reason: string };

/** Which state each outcome leaves in the record. docs/reference/states.md renders it. */
export const OUTCOME_STATES = {
  success: 'SUCCESS',
  failure: 'FAILURE',
  revoked: 'REVOKED',
} as const satisfies Record<Outcome['kind'], FinalTaskState>;
