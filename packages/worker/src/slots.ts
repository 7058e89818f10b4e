/** Runs at most `size` items at once; the rest wait in the order they came. */
export class Slots<T> {
  readonly #size: number;
  readonly #start: (item: T) => void;
  #waiting: T[] = [];
  #head = 0;
  #running = 0;
  #paused = false;
  #isFilling = false;
  #idle: (() => void)[] = [];

  /** @param start begins an item and returns at once; `release` must follow once, when it has ended, which may be before it returns. */
  constructor(size: number, start: (item: T) => void) {
    this.#size = size;
    this.#start = start;
  }

  get running(): number {
    return this.#running;
  }

  push(item: T): void {
    if (this.#running >= this.#size || this.#paused || this.#head < this.#waiting.length) this.#waiting.push(item);
    else this.start(item);
  }

  /** Gives a slot back; the next that waits takes it. */
  release(): void {
    this.#running -= 1;
    this.#fill();
    if (this.#running > 0 || this.#idle.length === 0) return;
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  /** Starts an item at once, whatever the number of those that run, and even while paused; `release` must follow. */
  start(item: T): void {
    this.#running += 1;
    this.#start(item);
  }

  /** Nothing starts from now on, until `resume`. */
  pause(): void {
    this.#paused = true;
  }

  /** What waits may start again. */
  resume(): void {
    this.#paused = false;
    this.#fill();
  }

  /** Forgets what waits, but for these. */
  keep(isKept: (item: T) => boolean): void {
    this.#waiting = this.#waiting.slice(this.#head).filter(isKept);
    this.#head = 0;
  }

  /** Resolves when nothing runs. */
  idle(): Promise<void> {
    return this.#running === 0 ? Promise.resolve() : new Promise((resolve) => this.#idle.push(resolve));
  }

  // Items that end at once would else begin each other, one frame of the stack on top of the other.
  #fill(): void {
    if (this.#isFilling) return;
    this.#isFilling = true;
    try {
      while (!this.#paused && this.#running < this.#size && this.#head < this.#waiting.length) this.start(this.#next());
    } finally {
      this.#isFilling = false;
    }
  }

  // A head index instead of shift(), which moves a long array at each call.
  #next(): T {
    const item = this.#waiting[this.#head] as T;
    this.#head += 1;
    if (this.#head === this.#waiting.length || this.#head >= 1024) {
      this.#waiting = this.#waiting.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }
}
