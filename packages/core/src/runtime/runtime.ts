import { performance } from 'node:perf_hooks';
import { uuidv7 } from './uuid.js';

/** Clock, randomness and ids, in one injectable place. */
export interface Runtime {
  /** Wall clock: milliseconds since 1970. */
  now(): number;
  /** Milliseconds that only rise; for measuring. */
  monotonic(): number;
  /** In [0, 1). */
  random(): number;
  /** A new UUIDv7. */
  uuid(): string;
}

export const systemRuntime: Runtime = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  random: () => Math.random(),
  uuid: uuidv7,
};
