import type { EventSink } from '@lovage/core';
import { Deadline } from '../deadline.js';
import type { Execution } from '../execution.js';
import type { Pools } from './pools.js';

/** For so long nothing begins while what runs has not ended; then it is everybody else's turn, as long. */
const PATIENCE_MS = 60_000;

export interface AloneOptions {
  readonly pools: Pools;
  readonly events: EventSink;
  /** Default one minute. */
  readonly patienceMs?: number;
}

/**
 * Begins executions one by one, each with nothing else in any pool: while one waits, nothing new begins, so that it has its turn once what runs has ended. Where that
 * takes long, the others have every second minute: one task that runs for hours does not stop this process. Other processes go on meanwhile.
 */
export class Alone {
  readonly #options: AloneOptions;
  #waiting: Execution[] = [];
  #isWorking = false;
  #paused = false;
  #patience: Deadline | null = null;

  constructor(options: AloneOptions) {
    this.#options = options;
  }

  push(execution: Execution): void {
    if (this.#paused) return;
    this.#waiting.push(execution);
    if (!this.#isWorking) void this.#work();
  }

  /** Nothing begins from now on. */
  pause(): void {
    this.#paused = true;
    this.keep(() => false);
  }

  /** Forgets what waits, but for these. */
  keep(isKept: (execution: Execution) => boolean): void {
    this.#waiting = this.#waiting.filter(isKept);
    if (this.#waiting.length === 0) this.#patience?.pass();
  }

  async #work(): Promise<void> {
    const { pools } = this.#options;
    this.#isWorking = true;
    while (this.#waiting.length > 0) {
      pools.pause();
      if (await this.#within(pools.idle())) await this.#beginAll();
      if (!this.#paused) pools.resume();
      if (this.#waiting.length > 0) await this.#within(new Promise(() => undefined));
    }
    this.#isWorking = false;
  }

  async #beginAll(): Promise<void> {
    const { pools } = this.#options;
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      this.#warn(next);
      pools.begin(next);
      await pools.idle();
    }
  }

  /** False: it takes too long, or nothing waits any more. */
  async #within(work: Promise<unknown>): Promise<boolean> {
    this.#patience = new Deadline(this.#options.patienceMs ?? PATIENCE_MS);
    const hasEnded = await this.#patience.within(work);
    this.#patience.pass();
    return hasEnded;
  }

  #warn({ request: { task, id }, starts }: Execution): void {
    const message = `task ${task}[${id}] was started ${starts} times and its worker ended each time before it did: it runs alone in this process now`;
    this.#options.events.emit('warning', { message });
  }
}
