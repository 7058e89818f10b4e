import type { ResultBackend } from '@lovage/core';

/** Two views of one empty store. */
export interface ResultBackendFixture {
  readonly backend: ResultBackend;
  /** What another process would use: a second backend on the same store; absent where the store lives in one process. */
  readonly peer?: ResultBackend;
  /**
   * Ends every lease of the outbox, as if OUTBOX_LEASE_MS had gone by: nobody waits for that in a test. It may as well make due what is not due
   * yet. Needed by those tests of the outbox that go on where a process has stopped; without it they are skipped.
   */
  readonly expireLeases?: () => Promise<void>;
  /** Removes the store; called after the backends have been stopped. */
  readonly dispose?: () => Promise<void>;
}

/** Makes backends that are not started yet, whose `results.expires` is as given. */
export type ResultBackendFactory = (settings: {
  readonly expiresMs: number;
}) => ResultBackendFixture | Promise<ResultBackendFixture>;
