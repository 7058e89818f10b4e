import type { EventSink } from '@lovage/core';
import type { Execution } from '../execution.js';
import type { Pools } from './pools.js';

export interface AloneOptions {
  readonly pools: Pools;
  readonly events: EventSink;
}

/**
 * Begins executions one by one, each with nothing else in any pool: while one waits, nothing new begins, so that it has its turn once what runs has ended. Other processes
 * go on meanwhile.
 */
export class Alone {
  readonly #options: AloneOptions;
  #waiting: Execution[] = [];
  #isWorking = false;
  #paused = false;

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
    this.#waiting = [];
  }

  /** Forgets what waits, but for these. */
  keep(isKept: (execution: Execution) => boolean): void {
    this.#waiting = this.#waiting.filter(isKept);
  }

  async #work(): Promise<void> {
    const { pools } = this.#options;
    this.#isWorking = true;
    pools.pause();
    await pools.idle();
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      this.#warn(next);
      pools.begin(next);
      await pools.idle();
    }
    this.#isWorking = false;
    if (!this.#paused) pools.resume();
  }

  #warn({ request: { task, id }, starts }: Execution): void {
    const message = `task ${task}[${id}] was started ${starts} times and its worker ended each time before it did: it runs alone in this process now`;
    this.#options.events.emit('warning', { message });
  }
}
