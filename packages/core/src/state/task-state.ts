/** The states Lovage itself sets; Celery's names. A task may add its own non-final ones, such as PROGRESS. */
export type KnownTaskState =
  'PENDING' | 'RECEIVED' | 'STARTED' | 'PROGRESS' | 'RETRY' | 'SUCCESS' | 'FAILURE' | 'REVOKED';

/** A known state, or a state of the user's own. */
export type TaskState = KnownTaskState | (string & {});

export type FinalTaskState = 'SUCCESS' | 'FAILURE' | 'REVOKED';

const FINAL: readonly FinalTaskState[] = ['SUCCESS', 'FAILURE', 'REVOKED'];
const ENDS = ['RETRY', ...FINAL] as const;
const RUNNING = ['RECEIVED', 'STARTED', 'PROGRESS', ...ENDS] as const;

/**
 * Which state may follow which. RETRY and PENDING announce the next attempt, which they begin. A final state is left by nothing but
 * the named transition REQUEUE. docs/reference/states.md renders this table.
 */
export const TASK_STATE_TRANSITIONS = {
  PENDING: ['PENDING', ...RUNNING],
  RECEIVED: ['STARTED', 'PROGRESS', ...ENDS],
  STARTED: ['PROGRESS', ...ENDS],
  PROGRESS: ['PROGRESS', ...ENDS],
  RETRY: ['PENDING', ...RUNNING],
  SUCCESS: [],
  FAILURE: [],
  REVOKED: [],
} as const satisfies Record<KnownTaskState, readonly KnownTaskState[]>;

/** What an operator may do with a task that failed: `lovage retry`. The only way out of a final state. */
export const REQUEUE = { from: 'FAILURE', to: 'PENDING' } as const satisfies Record<string, KnownTaskState>;

/** True for a state that nothing follows by itself. */
export function isFinalState(state: TaskState): state is FinalTaskState {
  return (FINAL as readonly string[]).includes(state);
}
