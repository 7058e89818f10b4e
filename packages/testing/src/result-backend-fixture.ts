import type { ResultBackend } from '@lovage/core';

/** Two views of one empty store. */
export interface ResultBackendFixture {
  readonly backend: ResultBackend;
  /** What another process would use: a second backend on the same store; absent where the store lives in one process. */
  readonly peer?: ResultBackend;
  /**
   * Makes it as if OUTBOX_LEASE_MS had gone by for the outbox: leases are over, and what is due within that time is due. Nobody waits for that in a test, and the tests that go on
   * where a process has stopped need it. May make due what is due later. To be there if the backend has an outbox.
   */
  readonly expireLeases?: () => Promise<void>;
  /** Removes the store; called after the backends have been stopped. */
  readonly dispose?: () => Promise<void>;
}

/** Makes backends that are not started yet, whose `results.expires` is as given. */
export type ResultBackendFactory = (settings: {
  readonly expiresMs: number;
}) => ResultBackendFixture | Promise<ResultBackendFixture>;
