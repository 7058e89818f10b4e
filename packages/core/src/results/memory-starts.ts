import type { Runtime } from '../runtime/runtime.js';
import type { Starts, TaskAttempt } from './starts.js';

interface StartsRow {
  starts: number;
  /** When the last of them was. */
  startedAt: number;
}

/** By id, then by attempt. */
export type StartsStore = Map<string, Map<number, StartsRow>>;

/** The starts of the in-memory result backend. Gone with the process. */
export class MemoryStarts implements Starts {
  readonly #store: StartsStore;
  readonly #runtime: Runtime;

  constructor(store: StartsStore, runtime: Runtime) {
    this.#store = store;
    this.#runtime = runtime;
  }

  async unended(tasks: readonly TaskAttempt[]): Promise<readonly number[]> {
    return tasks.map(({ id, attempt }) => this.#store.get(id)?.get(attempt)?.starts ?? 0);
  }

  async begin(tasks: readonly TaskAttempt[]): Promise<void> {
    for (const { id, attempt } of tasks) {
      const attempts = this.#store.get(id) ?? new Map<number, StartsRow>();
      this.#store.set(id, attempts);
      const starts = (attempts.get(attempt)?.starts ?? 0) + 1;
      attempts.set(attempt, { starts, startedAt: this.#runtime.now() });
    }
  }

  async takeBack(tasks: readonly TaskAttempt[]): Promise<void> {
    for (const { id, attempt } of tasks) {
      const row = this.#store.get(id)?.get(attempt);
      if (row === undefined) continue;
      row.starts -= 1;
      this.#deleteWhere(id, (_, { starts }) => starts === 0);
    }
  }

  async end(tasks: readonly TaskAttempt[]): Promise<void> {
    for (const task of tasks) this.#deleteWhere(task.id, (attempt) => attempt <= task.attempt);
  }

  /** Forgets what was last started before this instant, in milliseconds since 1970. */
  sweep(before: number): void {
    for (const id of this.#store.keys()) this.#deleteWhere(id, (_, { startedAt }) => startedAt < before);
  }

  #deleteWhere(id: string, isOver: (attempt: number, row: StartsRow) => boolean): void {
    const attempts = this.#store.get(id);
    if (attempts === undefined) return;
    for (const [attempt, row] of attempts) if (isOver(attempt, row)) attempts.delete(attempt);
    if (attempts.size === 0) this.#store.delete(id);
  }
}
