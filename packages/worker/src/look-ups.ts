import type { RecordState, ResultBackend } from '@lovage/core';
import type { Execution } from './execution.js';
import type { Retrier } from './retrier.js';

const BATCH = 500;

export interface LookUpsOptions {
  readonly results: ResultBackend;
  readonly retrier: Retrier;
  readonly found: (execution: Execution, record: RecordState | undefined) => void;
}

/**
 * Reads the records of suspicious copies (rule 3), all that wait in one query. One query at a time: while it is under way, the next
 * ones gather. A look-up that fails is made again until it works; what waits for it holds its delivery.
 */
export class LookUps {
  readonly #options: LookUpsOptions;
  #waiting: Execution[] = [];
  #busy = false;

  constructor(options: LookUpsOptions) {
    this.#options = options;
  }

  push(execution: Execution): void {
    this.#waiting.push(execution);
    if (this.#busy) return;
    this.#busy = true;
    setImmediate(() => void this.#work());
  }

  async #work(): Promise<void> {
    const { results, retrier, found } = this.#options;
    try {
      while (this.#waiting.length > 0) {
        const batch = this.#waiting.splice(0, BATCH);
        const ids = [...new Set(batch.map(({ request }) => request.id))];
        const states = await retrier.run(() => results.states(ids));
        for (const execution of batch) found(execution, states.get(execution.request.id));
      }
    } catch {
      // The retrier was told to stop: the executions are handed back by their owner.
    } finally {
      this.#busy = false;
    }
  }
}
