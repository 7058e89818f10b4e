const BATCH = 500;

/** Does for many at once what is asked for one by one: what gathers while a round is under way is the next one's. */
export class Rounds<T> {
  readonly #work: (batch: readonly T[]) => Promise<void>;
  #waiting: T[] = [];
  #working: Promise<void> | null = null;

  /** @param work must not reject; at most 500 at once. */
  constructor(work: (batch: readonly T[]) => Promise<void>) {
    this.#work = work;
  }

  push(item: T): void {
    this.#waiting.push(item);
    this.#working ??= this.#run();
  }

  /** Resolves when nothing waits and nothing is under way. */
  async idle(): Promise<void> {
    await this.#working;
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      // What is asked for in this turn of the event loop goes together.
      await new Promise((resolve) => setImmediate(resolve));
      await this.#work(this.#waiting.splice(0, BATCH));
    }
    this.#working = null;
  }
}
