/** One point in time that many waits share; it can be brought forward. */
export class Deadline {
  readonly #passed: Promise<false>;
  readonly #timer: NodeJS.Timeout;
  #pass: () => void = () => undefined;

  constructor(ms: number) {
    this.#passed = new Promise((resolve) => (this.#pass = () => resolve(false)));
    // A longer timer than setTimeout takes would fire at once.
    this.#timer = setTimeout(() => this.#pass(), Math.min(ms, 2 ** 31 - 1));
  }

  /** Waits for work, not longer than until the deadline. True if the work has ended; its failure counts as an end. */
  within(work: Promise<unknown>): Promise<boolean> {
    const ended = work.then(
      () => true,
      () => true,
    );
    return Promise.race([ended, this.#passed]);
  }

  /** The deadline is now. */
  pass(): void {
    clearTimeout(this.#timer);
    this.#pass();
  }
}
