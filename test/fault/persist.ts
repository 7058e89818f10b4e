import { setTimeout as pause } from 'node:timers/promises';
import { type ErrorCode, isLovageError } from 'lovage';

/** What a call fails with while a server is away, or a queue is. It may have arrived all the same. */
const AWAY: ReadonlySet<ErrorCode> = new Set([
  'LOVAGE_BROKER_UNAVAILABLE',
  'LOVAGE_RESULTS_UNAVAILABLE',
  'LOVAGE_UNROUTABLE',
  'LOVAGE_PUBLISH',
]);
const PAUSE_MS = 50;

/** Does it again, as a caller would that is told of a server that is away, until it is done. */
export async function persist<T>(
  work: () => Promise<T>,
  onFailure: (error: Error) => void = () => undefined,
): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!isLovageError(error) || !AWAY.has(error.code)) throw error;
      onFailure(error);
      await pause(PAUSE_MS);
    }
  }
}
