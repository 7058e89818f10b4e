/** The states Lovage itself sets; Celery's names. A task may add its own non-final ones, such as PROGRESS. */
export type KnownTaskState = 'PENDING' | 'RECEIVED' | 'STARTED' | 'PROGRESS' | 'SUCCESS' | 'FAILURE' | 'REVOKED';

/** A known state, or a state of the user's own. */
export type TaskState = KnownTaskState | (string & {});

export type FinalTaskState = 'SUCCESS' | 'FAILURE' | 'REVOKED';

const FINAL: readonly FinalTaskState[] = ['SUCCESS', 'FAILURE', 'REVOKED'];
const RUNNING = ['RECEIVED', 'STARTED', 'PROGRESS', ...FINAL] as const;

/**
 * Which state may follow which, for one attempt of a task. A final state is left by nothing.
 * docs/reference/states.md renders this table.
 */
export const TASK_STATE_TRANSITIONS = {
  PENDING: RUNNING,
  RECEIVED: ['STARTED', 'PROGRESS', ...FINAL],
  STARTED: ['PROGRESS', ...FINAL],
  PROGRESS: ['PROGRESS', ...FINAL],
  SUCCESS: [],
  FAILURE: [],
  REVOKED: [],
} as const satisfies Record<KnownTaskState, readonly KnownTaskState[]>;

/** True for a state that nothing follows. */
export function isFinalState(state: TaskState): state is FinalTaskState {
  return (FINAL as readonly string[]).includes(state);
}
