import { LovageError, expected } from '@lovage/core';

const MAX_PREFETCH = 65_535;

/** @throws LOVAGE_USAGE for what AMQP cannot say. */
export function checkPrefetch(prefetch: number): number {
  if (Number.isInteger(prefetch) && prefetch >= 1 && prefetch <= MAX_PREFETCH) return prefetch;
  throw new LovageError('LOVAGE_USAGE', expected('prefetch', `an integer from 1 to ${MAX_PREFETCH}`, prefetch));
}
