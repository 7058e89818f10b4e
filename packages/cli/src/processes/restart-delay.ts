import type { WorkerEnd } from './worker-process.js';

const BACK_OFF_MS = { first: 1_000, most: 30_000 };
/** A worker that has lived so long starts a new row of failures when it dies. */
const STEADY_MS = 30_000;

/** How long to wait before a worker is started again, after so many failures in a row before this one; doubles with each. */
export function restartDelayMs(failures: number): number {
  return Math.min(BACK_OFF_MS.first * 2 ** failures, BACK_OFF_MS.most);
}

export function livedLong({ readyAt }: WorkerEnd): boolean {
  return readyAt !== null && performance.now() - readyAt > STEADY_MS;
}

export function describeEnd({ code, signal }: WorkerEnd): string {
  return signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`;
}
