import {
  isLovageError,
  timeLimitsFor,
  type CommitResult,
  type EventSink,
  type Outcome,
  type Revocation,
} from '@lovage/core';
import type { Committer } from '../committer.js';
import type { Execution } from '../execution.js';
import { hardLimitOutcome } from '../time-limits.js';
import type { BlockerEnd, LastWords } from './loop-block.js';

export const NO_END: BlockerEnd = { limitLeftMs: null, lastWords: null };

/**
 * How much of its hard time limit an execution has left; where that is over, or it is this revocation's, the record of its end. None where nothing is stored: its message
 * would only come again.
 */
export function endOf(execution: Execution | undefined, revocation: Revocation | null): BlockerEnd {
  if (execution === undefined) return NO_END;
  const { request, definition, runtimeMs } = execution;
  const hardMs = timeLimitsFor(request.timeLimits, definition?.timeLimits ?? null)?.hardMs ?? null;
  const limitLeftMs = hardMs === null || runtimeMs === null ? null : hardMs - runtimeMs;
  const words = (outcome: Outcome, why: string): BlockerEnd => {
    const completion = execution.completionFor(outcome);
    if (completion === null) return NO_END;
    return { limitLeftMs, lastWords: { task: request.task, id: request.id, why, completion } };
  };
  if (revocation?.id === request.id) {
    const { reason } = revocation;
    return words({ kind: 'revoked', reason }, `that is revoked and to be terminated (${reason})`);
  }
  if (hardMs === null || limitLeftMs === null || limitLeftMs > 0) return { limitLeftMs, lastWords: null };
  return words(hardLimitOutcome(hardMs), `beyond its timeLimit of ${hardMs / 1000} s`);
}

/** Commits what processes have left behind that are to be killed. Resolves when all of it is. */
export async function commitLastWords(
  words: readonly LastWords[],
  { committer, events }: { readonly committer: Committer; readonly events: EventSink },
): Promise<void> {
  const commit = ({ completion, task, id }: LastWords): Promise<void> =>
    new Promise((resolve) => {
      const settled = (result: CommitResult): void => {
        if (isLovageError(result))
          events.emit('warning', { message: `the end of task ${task}[${id}] could not be stored`, error: result });
        resolve();
      };
      committer.push({ completion, settled });
    });
  await Promise.all(words.map(commit));
}
