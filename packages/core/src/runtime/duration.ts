import ms from 'ms';
import { LovageError, expected } from '../errors/lovage-error.js';

/** Milliseconds, or a string such as `'5m'`, `'1.5s'`, `'7d'` (package `ms`). */
export type Duration = number | string;

/** Reads a duration; `what` names it in the error. Throws LOVAGE_USAGE unless it is finite and ≥ 0. */
export function parseDuration(value: unknown, what: string): number {
  const parsed = typeof value === 'string' && value.length <= 100 ? ms(value as ms.StringValue) : value;
  if (typeof parsed === 'number' && Number.isFinite(parsed) && parsed >= 0) return parsed;
  throw new LovageError('LOVAGE_USAGE', expected(what, "a duration ≥ 0: milliseconds or a string such as '5m'", value));
}

/** A hundred years: later than any message is worth keeping. */
const LONGEST_DELAY_MS = 36_500 * 24 * 3_600_000;

/** A duration after which something is to be sent: at most 36500d. Throws as `parseDuration`. */
export function parseDelay(value: unknown, what: string): number {
  const delay = parseDuration(value, what);
  if (delay <= LONGEST_DELAY_MS) return delay;
  throw new LovageError('LOVAGE_USAGE', expected(what, 'a duration of at most 36500d', value));
}

/** `parseDelay` would read it. */
export function isDelay(value: unknown): boolean {
  try {
    parseDelay(value, 'it');
    return true;
  } catch {
    return false;
  }
}
