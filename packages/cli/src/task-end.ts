import {
  LovageError,
  isFinalState,
  isLovageError,
  resultsNotConfigured,
  type AsyncResult,
  type Lovage,
  type ResultBackend,
  type TaskRecord,
} from '@lovage/core';
import type { ExitName } from './exit-codes.js';
import { durationOption } from './option-values.js';
import { retryOf } from './with-app.js';

export interface WaitFlags {
  readonly wait: boolean;
  readonly timeout: string | undefined;
}

/** What `get` is given for --timeout. LOVAGE_USAGE for a timeout of nothing. */
export function waitOptions({ wait, timeout }: WaitFlags): { readonly timeout?: number } {
  const limit = durationOption(timeout, '--timeout');
  if (limit === undefined) return {};
  if (wait) return { timeout: limit };
  throw new LovageError('LOVAGE_USAGE', '--timeout says how long to wait: add --wait');
}

/** Connects to the app's results. LOVAGE_RESULTS_NOT_CONFIGURED where it has none. */
export async function connectToResults(app: Lovage, flags: { readonly noRetry: boolean }): Promise<ResultBackend> {
  const results = await app.connectResults(retryOf(flags));
  if (results !== null) return results;
  throw resultsNotConfigured('this command reads stored results');
}

/** Waits until the task has ended, well or not: how it ended is in its record. */
export async function waitForEnd(result: AsyncResult, options: { readonly timeout?: number }): Promise<void> {
  try {
    await result.get(options);
  } catch (error) {
    if (!isLovageError(error, 'LOVAGE_TASK_FAILED') && !isLovageError(error, 'LOVAGE_TASK_REVOKED')) throw error;
  }
}

/** A task that has not ended is no failure. */
export function exitOfRecord(record: TaskRecord): ExitName {
  return isFinalState(record.state) && record.state !== 'SUCCESS' ? 'taskFailed' : 'ok';
}
