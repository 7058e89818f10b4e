import type { Execution } from '../execution.js';
import { Slots } from '../slots.js';
import type { Pool } from './pool.js';

/** A pool, and its slots. */
interface Lane {
  readonly pool: Pool;
  readonly slots: Slots<Execution>;
}

/** The pools of a worker, each with slots of its own: what takes long in one keeps nothing waiting in another. */
export class Pools {
  readonly #lane: Lane;

  /** @param begin takes an execution that has got its slot and returns at once; `release` must follow once. */
  constructor(pool: Pool, begin: (execution: Execution) => void) {
    this.#lane = { pool, slots: new Slots(pool.size, begin) };
  }

  /** How many slots are taken. */
  get running(): number {
    return this.#lane.slots.running;
  }

  /** Where this execution runs. */
  poolOf(_execution: Execution): Pool {
    return this.#lane.pool;
  }

  /** Begins it as soon as there is a slot. */
  push(execution: Execution): void {
    this.#lane.slots.push(execution);
  }

  /** Gives back the slot of this execution. */
  release(_execution: Execution): void {
    this.#lane.slots.release();
  }

  /** Nothing begins from now on. */
  pause(): void {
    this.#lane.slots.pause();
  }

  /** Forgets what waits, but for these. */
  keep(isKept: (execution: Execution) => boolean): void {
    this.#lane.slots.keep(isKept);
  }

  /** Resolves when no slot is taken. */
  idle(): Promise<void> {
    return this.#lane.slots.idle();
  }
}
