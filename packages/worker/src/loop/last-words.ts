import { deserialize, serialize } from 'node:v8';
import {
  isLovageError,
  timeLimitsFor,
  type CommitResult,
  type EventSink,
  type Message,
  type MessageRules,
  type Outcome,
  type Revocation,
} from '@lovage/core';
import { readTask } from '../admission.js';
import { announce } from '../announce.js';
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
    const { task, id } = request;
    const message = serialize(execution.custody.message).toString('base64');
    return { limitLeftMs, lastWords: { task, id, why, message, completion } };
  };
  if (revocation?.id === request.id) {
    const { reason } = revocation;
    return words({ kind: 'revoked', reason }, `that is revoked and to be terminated (${reason})`);
  }
  if (hardMs === null || limitLeftMs === null || limitLeftMs > 0) return { limitLeftMs, lastWords: null };
  return words(hardLimitOutcome(hardMs), `beyond its timeLimit of ${hardMs / 1000} s`);
}

export interface CommitWordsOptions {
  readonly committer: Committer;
  readonly events: EventSink;
  /** Of the app, whose messages they are. */
  readonly rules: MessageRules;
}

/** Commits what processes have left behind that are to be killed, and announces it as their own ends. Resolves when all of it is. */
export async function commitLastWords(
  words: readonly LastWords[],
  { committer, events, rules }: CommitWordsOptions,
): Promise<void> {
  const commit = ({ completion, task, id, message }: LastWords): Promise<void> =>
    new Promise((resolve) => {
      const settled = (result: CommitResult): void => {
        if (isLovageError(result))
          events.emit('warning', { message: `the end of task ${task}[${id}] could not be stored`, error: result });
        // Of a revoked one whoever meets what comes again of it tells.
        else if (result === 'applied' && completion.record.state !== 'REVOKED') announceWords();
        resolve();
      };
      const announceWords = (): void => {
        const request = readTask(deserialize(Buffer.from(message, 'base64')) as Message, rules);
        if (typeof request !== 'string') announce(events, request, completion);
      };
      committer.push({ completion, settled });
    });
  await Promise.all(words.map(commit));
}
