import { isLovageError, timeLimitsFor, type CommitResult, type EventSink } from '@lovage/core';
import type { Committer } from '../committer.js';
import type { Execution } from '../execution.js';
import { hardLimitOutcome } from '../time-limits.js';
import type { LastWords, LoopBlocker } from './loop-block.js';

export const NO_LIMIT: Pick<LoopBlocker, 'limitLeftMs' | 'lastWords'> = { limitLeftMs: null, lastWords: null };

/** How much of its hard time limit an execution has left; where that is over, the record of its end. None where nothing is stored: its message would only come again. */
export function limitOf(execution: Execution | undefined): Pick<LoopBlocker, 'limitLeftMs' | 'lastWords'> {
  if (execution === undefined) return NO_LIMIT;
  const { request, definition, runtimeMs } = execution;
  const hardMs = timeLimitsFor(request.timeLimits, definition?.timeLimits ?? null)?.hardMs ?? null;
  if (hardMs === null || runtimeMs === null) return NO_LIMIT;
  const limitLeftMs = hardMs - runtimeMs;
  if (limitLeftMs > 0) return { limitLeftMs, lastWords: null };
  const completion = execution.completionFor(hardLimitOutcome(hardMs));
  if (completion === null) return NO_LIMIT;
  return { limitLeftMs, lastWords: { task: request.task, id: request.id, timeLimitMs: hardMs, completion } };
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
