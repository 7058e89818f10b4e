import { LovageError, encodeError, type Outcome, type TimeLimits } from '@lovage/core';

/** What a task that takes too long meets with. */
export interface LimitedRun {
  readonly run: () => Outcome | Promise<Outcome>;
  /** Told that it must end. */
  readonly abort: (reason: LovageError) => void;
  /** Ended without it. */
  readonly decide: (outcome: Outcome) => void;
}

/** Runs a task's code under limits: at the soft one it is told to end, at the hard one it has ended, and is told so. */
export async function runWithin({ softMs, hardMs }: TimeLimits, { run, abort, decide }: LimitedRun): Promise<Outcome> {
  const timers: NodeJS.Timeout[] = [];
  if (softMs !== null) timers.push(setTimeout(() => abort(softError(softMs)), softMs).unref());
  if (hardMs !== null) {
    const end = (): void => {
      const error = hardError(hardMs);
      // In this order: what the task does once it hears of it is too late.
      decide(outcomeOf(error));
      abort(error);
    };
    timers.push(setTimeout(end, hardMs).unref());
  }
  try {
    return await run();
  } finally {
    for (const timer of timers) clearTimeout(timer);
  }
}

/** How a task ends whose hard limit is over. */
export function hardLimitOutcome(ms: number): Outcome {
  return outcomeOf(hardError(ms));
}

function outcomeOf(error: LovageError): Outcome {
  return { kind: 'failure', error: { ...encodeError(error), stack: null } };
}

function softError(ms: number): LovageError {
  return new LovageError('LOVAGE_SOFT_TIME_LIMIT', `the task has run for ${seconds(ms)}, its softTimeLimit`);
}

function hardError(ms: number): LovageError {
  return new LovageError('LOVAGE_TIME_LIMIT', `the task had not ended after ${seconds(ms)}, its timeLimit`);
}

function seconds(ms: number): string {
  return `${ms / 1000} s`;
}
