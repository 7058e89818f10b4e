import { setTimeout as pause } from 'node:timers/promises';

export interface EventuallyOptions {
  /** How long to try, in milliseconds; default 5,000. */
  readonly timeoutMs?: number;
}

/**
 * Calls `assertion` until it passes, at first at once and then every 20 ms; resolves to what it returns.
 * @throws the last failure of `assertion`, once the time is up
 */
export async function eventually<T>(assertion: () => T | Promise<T>, options: EventuallyOptions = {}): Promise<T> {
  const deadline = Date.now() + (options.timeoutMs ?? 5_000);
  for (;;) {
    try {
      return await assertion();
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
    await pause(20);
  }
}
