import { isFinalState, type TaskState } from '../state/task-state.js';

/** How far a non-final state has come; a state of the user's own counts as running. */
const RANK: Readonly<Record<string, number>> = { PENDING: 0, RETRY: 0, RECEIVED: 1, STARTED: 2 };
const RUNNING = 3;

/** Rule 2: whether a write of `next` applies over what is stored. The in-memory twin of the guard in SQL. */
export function mayFollow(
  stored: { readonly state: TaskState; readonly attempt: number },
  next: { readonly state: TaskState; readonly attempt: number },
): boolean {
  if (isFinalState(stored.state) || stored.attempt > next.attempt) return false;
  if (isFinalState(next.state) || stored.attempt < next.attempt) return true;
  // Of rank 0 are the states that announce an attempt: it is announced once.
  return rank(next.state) > 0 && rank(stored.state) <= rank(next.state);
}

/** Whether a write of `next` tells of a revoked task of which nothing was known: it then applies, but for the end, which stays. */
export function completes(
  stored: { readonly state: TaskState; readonly task: string },
  next: { readonly state: TaskState; readonly task: string },
): boolean {
  return stored.state === 'REVOKED' && stored.task === '' && next.state === 'REVOKED' && next.task !== '';
}

function rank(state: TaskState): number {
  return RANK[state] ?? RUNNING;
}
