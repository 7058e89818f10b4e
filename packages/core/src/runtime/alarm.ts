import type { Runtime } from './runtime.js';

/** A sleep that others can cut short, and that remembers a ring nobody was waiting for. */
export class Alarm {
  readonly #runtime: Pick<Runtime, 'monotonic'>;
  #at = Infinity;
  #timer: NodeJS.Timeout | undefined;
  #hasRung = false;
  #heard: (() => void) | null = null;

  constructor(runtime: Pick<Runtime, 'monotonic'>) {
    this.#runtime = runtime;
  }

  /** It rings in so many milliseconds, if not sooner. */
  ringIn(ms: number): void {
    if (this.#hasRung) return;
    // Also where it is overdue: its timer may be late.
    if (ms <= 0) return this.#ring();
    const at = this.#runtime.monotonic() + ms;
    if (at >= this.#at) return;
    this.#at = at;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ring(), ms);
  }

  /** Resolves when it rings, or at once if it has. */
  async rung(): Promise<void> {
    if (!this.#hasRung) await new Promise<void>((resolve) => (this.#heard = resolve));
  }

  /** Forgets what it was set to, and that it rang. */
  reset(): void {
    clearTimeout(this.#timer);
    this.#at = Infinity;
    this.#hasRung = false;
  }

  #ring(): void {
    clearTimeout(this.#timer);
    this.#hasRung = true;
    this.#heard?.();
    this.#heard = null;
  }
}
