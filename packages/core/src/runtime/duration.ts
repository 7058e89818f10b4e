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
