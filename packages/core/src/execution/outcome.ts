import type { FinalTaskState } from '../state/task-state.js';

/**
 * How handling one message ended: control flow as a value. `success`, `failure` and `revoked` become the record's final state;
 * `duplicate` (already ended) is acknowledged; `dead` (nobody can run it) goes to the dead-letter queue.
 */
export type Outcome =
  | { readonly kind: 'success'; readonly result: unknown }
  | { readonly kind: 'failure'; readonly error: unknown }
  | { readonly kind: 'revoked'; readonly reason: string }
  | { readonly kind: 'duplicate' }
  | { readonly kind: 'dead'; readonly reason: string };

/** Which state each outcome leaves in the record; null: none is written. docs/reference/states.md renders it. */
export const OUTCOME_STATES = {
  success: 'SUCCESS',
  failure: 'FAILURE',
  revoked: 'REVOKED',
  duplicate: null,
  dead: null,
} as const satisfies Record<Outcome['kind'], FinalTaskState | null>;
