import type { Outbox, RecordState, ResultBackend, Starts } from '@lovage/core';
import type { Execution } from './execution.js';
import type { Retrier } from './retrier.js';

const BATCH = 500;

export interface LookUpsOptions {
  readonly results: ResultBackend;
  /** undefined: nothing is unique. */
  readonly outbox: Outbox | undefined;
  /** undefined: starts are not counted. */
  readonly starts: Starts | undefined;
  readonly retrier: Retrier;
  /** @param record undefined: it has none, or was not looked up. */
  readonly found: (execution: Execution, record: RecordState | undefined) => void;
}

/**
 * What the database is asked before a task runs: the records of suspicious copies (rule 3) are read and their starts (rule 5), and unique keys that were held until now are
 * freed; all that wait together. One round at a time: while it is under way, the next ones gather. What fails is tried again until it works;
 * what waits for it holds its delivery.
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

  /** Forgets what waits, but for these. */
  keep(isKept: (execution: Execution) => boolean): void {
    this.#waiting = this.#waiting.filter(isKept);
  }

  async #work(): Promise<void> {
    const { retrier, found } = this.#options;
    try {
      await retrier.untilStopped(async () => {
        while (this.#waiting.length > 0) {
          const batch = this.#waiting.splice(0, BATCH);
          const suspicious = batch.filter(({ isSuspicious }) => isSuspicious);
          const [states] = await retrier.run(() =>
            Promise.all([this.#statesOf(suspicious), this.#readStarts(suspicious), this.#release(batch)]),
          );
          for (const execution of batch) found(execution, states.get(execution.request.id));
        }
      });
    } finally {
      this.#busy = false;
    }
  }

  async #statesOf(suspicious: readonly Execution[]): Promise<ReadonlyMap<string, RecordState>> {
    if (suspicious.length === 0) return new Map();
    const ids = [...new Set(suspicious.map(({ request }) => request.id))];
    return this.#options.results.states(ids);
  }

  async #readStarts(suspicious: readonly Execution[]): Promise<void> {
    const { starts } = this.#options;
    if (starts === undefined || suspicious.length === 0) return;
    const counts = await starts.unended(suspicious.map(({ request }) => request));
    for (const [index, execution] of suspicious.entries()) execution.starts = counts[index] ?? 0;
  }

  async #release(batch: readonly Execution[]): Promise<void> {
    const { outbox } = this.#options;
    const holds = batch.flatMap(({ heldUntilNow }) => heldUntilNow ?? []);
    if (outbox !== undefined && holds.length > 0) await outbox.release(holds);
  }
}
