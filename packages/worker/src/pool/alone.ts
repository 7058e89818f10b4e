import { setTimeout as sleep } from 'node:timers/promises';
import type { EventSink } from '@lovage/core';
import { Deadline } from '../deadline.js';
import type { Execution } from '../execution.js';
import type { Pools } from './pools.js';

/**
 * For so long nothing begins while what runs has not ended; then it is everybody else's turn, as long. Twice as long each time, up to four times: less than any delivery waits
 * unstarted on RabbitMQ (HoldLimits).
 */
const PATIENCE_MS = 60_000;

export interface AloneOptions {
  readonly pools: Pools;
  readonly events: EventSink;
  /** Default one minute. */
  readonly patienceMs?: number;
}

/**
 * Begins executions one by one, each with nothing else in any pool: while one waits, nothing new begins, so that it has its turn once what runs has ended. Where that
 * takes long, the others have half of the time: one task that runs for hours does not stop this process. Other processes go on meanwhile.
 */
export class Alone {
  readonly #options: AloneOptions;
  #waiting: Execution[] = [];
  #isWorking = false;
  #paused = false;
  #patience: Deadline | null = null;
  #patienceMs: number;
  /** Until then it is everybody's turn; null: it is not. */
  #rested: Promise<void> | null = null;

  constructor(options: AloneOptions) {
    this.#options = options;
    this.#patienceMs = this.#leastMs;
  }

  get #leastMs(): number {
    return this.#options.patienceMs ?? PATIENCE_MS;
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
    for (;;) {
      // Not even for a turn of the event loop where it need not: what comes next would begin.
      if (this.#rested !== null) await this.#rested;
      this.#rested = null;
      if (this.#waiting.length === 0) break;
      pools.pause();
      const isIdle = await this.#within(pools.idle());
      if (isIdle) await this.#beginAll();
      if (!this.#paused) pools.resume();
      if (!isIdle) this.#rested = sleep(this.#patienceMs, undefined, { ref: false });
      this.#patienceMs = isIdle ? this.#leastMs : Math.min(2 * this.#patienceMs, 4 * this.#leastMs);
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
    this.#patience = new Deadline(this.#patienceMs);
    const hasEnded = await this.#patience.within(work);
    this.#patience.pass();
    return hasEnded;
  }

  #warn({ request: { task, id }, starts }: Execution): void {
    const message = `task ${task}[${id}] was started ${starts} times and its worker ended each time before it did: it runs alone in this process now`;
    this.#options.events.emit('warning', { message });
  }
}
