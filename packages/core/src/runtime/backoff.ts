import type { Runtime } from './runtime.js';

export interface BackoffOptions {
  /** The first delay, in milliseconds. */
  readonly minMs: number;
  readonly maxMs: number;
}

/** Doubles from `minMs` to `maxMs`; half of each delay is jitter, so that many clients do not return together. `attempt` counts from 1. */
export function backoffDelay(attempt: number, options: BackoffOptions, runtime: Pick<Runtime, 'random'>): number {
  const ceiling = Math.min(options.maxMs, options.minMs * 2 ** Math.min(attempt - 1, 30));
  return ceiling / 2 + (runtime.random() * ceiling) / 2;
}
