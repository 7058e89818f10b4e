import type { Starts } from '@lovage/core';
import type { Execution } from './execution.js';
import type { Retrier } from './retrier.js';
import { Rounds } from './rounds.js';

export interface StartRecorderOptions {
  readonly starts: Starts;
  readonly retrier: Retrier;
}

interface Begin {
  readonly execution: Execution;
  readonly counted: () => void;
}

/**
 * Keeps count of the starts of tasks that were delivered before (rule 5): one more before each runs; none once it has ended; one less where it is handed back for no fault of its own.
 * What is delivered for the first time is no business of it.
 */
export class StartRecorder {
  readonly #options: StartRecorderOptions;
  readonly #begins = new Rounds<Begin>((batch) => this.#begin(batch));
  readonly #ends = new Rounds<Execution>((batch) => this.#end(batch));

  constructor(options: StartRecorderOptions) {
    this.#options = options;
  }

  /** Resolves once the start is counted, however long the database is away. Never, if the worker is closed before. */
  begin(execution: Execution): Promise<void> {
    return new Promise((counted) => this.#begins.push({ execution, counted }));
  }

  /** Forgets the starts of an execution that has ended. Where that fails they are left to the sweep: nobody asks for them again. */
  end(execution: Execution): void {
    if (execution.starts > 0) this.#ends.push(execution);
  }

  /** Takes back those of these starts that were counted, once. Rejects only when the worker is closed. */
  async takeBack(executions: readonly Execution[]): Promise<void> {
    const counted = executions.filter(({ isCounted }) => isCounted);
    if (counted.length === 0) return;
    for (const execution of counted) execution.uncount();
    const { starts, retrier } = this.#options;
    await retrier.untilStopped(() => retrier.run(() => starts.takeBack(counted.map(({ request }) => request))));
  }

  /** Resolves when what has ended is forgotten. */
  idle(): Promise<void> {
    return this.#ends.idle();
  }

  async #begin(batch: readonly Begin[]): Promise<void> {
    const { starts, retrier } = this.#options;
    await retrier.untilStopped(async () => {
      await retrier.run(() => starts.begin(batch.map(({ execution }) => execution.request)));
      for (const { execution, counted } of batch) {
        execution.count();
        counted();
      }
    });
  }

  async #end(batch: readonly Execution[]): Promise<void> {
    await this.#options.starts.end(batch.map(({ request }) => request)).catch(() => undefined);
  }
}
