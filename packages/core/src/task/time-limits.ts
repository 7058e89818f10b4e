import { type Duration, parseDuration } from '../runtime/duration.js';

/** How long one run of a task may take. null: as long as it does. */
export interface TimeLimits {
  /** After so long it is told to end: its signal aborts. */
  readonly softMs: number | null;
  /** After so long it has ended FAILURE, whatever it does. */
  readonly hardMs: number | null;
}

/** As users write it, in @Task and `with()`. */
export interface TimeLimitOptions {
  readonly softTimeLimit?: Duration | undefined;
  readonly timeLimit?: Duration | undefined;
}

/** A longer timer fires at once in Node. */
export const LONGEST_TIME_LIMIT_MS = 24 * 24 * 3_600_000;

/** What is wrong with one of the two, as in "expected timeLimit to be …"; null: nothing. */
export function timeLimitProblem(value: unknown): string | null {
  try {
    const ms = parseDuration(value, 'it');
    if (ms >= 1 && ms <= LONGEST_TIME_LIMIT_MS) return null;
  } catch {
    // Said below.
  }
  return "a duration from 1 ms to 24d, such as '30s'";
}

/** What is wrong with both of them together; null: nothing. */
export function timeLimitsProblem(options: TimeLimitOptions): string | null {
  const { softMs, hardMs } = timeLimitsOf(options) ?? { softMs: null, hardMs: null };
  if (softMs === null || hardMs === null || softMs < hardMs) return null;
  return 'expected softTimeLimit to be shorter than timeLimit: a task needs time to heed it';
}

/** @param options checked by `timeLimitProblem`. null: there is no limit. */
export function timeLimitsOf({ softTimeLimit, timeLimit }: TimeLimitOptions): TimeLimits | null {
  if (softTimeLimit === undefined && timeLimit === undefined) return null;
  return Object.freeze({
    softMs: softTimeLimit === undefined ? null : parseDuration(softTimeLimit, 'softTimeLimit'),
    hardMs: timeLimit === undefined ? null : parseDuration(timeLimit, 'timeLimit'),
  });
}

/** Each of a call's own limits over its task's. null: there is no limit. */
export function timeLimitsFor(call: TimeLimits | null, task: TimeLimits | null): TimeLimits | null {
  if (call === null || task === null) return call ?? task;
  return { softMs: call.softMs ?? task.softMs, hardMs: call.hardMs ?? task.hardMs };
}
