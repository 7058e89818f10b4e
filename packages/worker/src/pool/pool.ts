import type { Outcome, PoolName } from '@lovage/core';
import type { Execution } from '../execution.js';

/** Where the code of tasks runs. */
export interface Pool {
  readonly name: PoolName;
  /** How many tasks run in it at once. */
  readonly size: number;
  /** Resolves once it can run tasks. */
  start(): Promise<void>;
  /** Idempotent. What still runs is of no interest any more. */
  stop(): Promise<void>;
  /** Runs the code of an execution that has begun. Total: whatever happens to it becomes an Outcome. */
  run(execution: Execution): Outcome | Promise<Outcome>;
  /** Stops the code of an execution whose end does not depend on it any more. False: nothing can, and it goes on. */
  kill(execution: Execution): boolean;
  /** Resolves when there is room again for what ran this execution and was lost with it; null: nothing was lost. */
  replaced(execution: Execution): Promise<void> | null;
}
