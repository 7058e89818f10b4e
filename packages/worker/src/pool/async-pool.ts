import { executeTask, type Outcome, type TaskDefinition } from '@lovage/core';
import type { Execution } from '../execution.js';
import type { Pool } from './pool.js';

/** Runs tasks in this very thread: they share its event loop, and take turns wherever they await. */
export class AsyncPool implements Pool {
  readonly name = 'async';
  readonly size: number;

  constructor(size: number) {
    this.size = size;
  }

  async start(): Promise<void> {}

  async stop(): Promise<void> {}

  run(execution: Execution): Outcome | Promise<Outcome> {
    // Only what this worker knows is put in a slot.
    return executeTask(execution.request, execution.definition as TaskDefinition, execution);
  }

  kill(): boolean {
    return false;
  }

  replaced(): null {
    return null;
  }
}
