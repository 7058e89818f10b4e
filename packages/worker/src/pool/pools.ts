import type { PoolName } from '@lovage/core';
import type { Execution } from '../execution.js';
import { Slots } from '../slots.js';
import type { Pool } from './pool.js';

export interface PoolsOptions {
  readonly pools: readonly Pool[];
  /** Where tasks run that do not say so themselves. */
  readonly defaultPool: PoolName;
  /** Takes an execution that has got its slot and returns at once; `release` must follow once. */
  readonly begin: (execution: Execution) => void;
}

/** A pool, and its slots. */
interface Lane {
  readonly pool: Pool;
  readonly slots: Slots<Execution>;
}

/** The pools of a worker, each with slots of its own: what takes long in one keeps nothing waiting in another. */
export class Pools {
  readonly #lanes = new Map<PoolName, Lane>();
  readonly #default: Lane;
  readonly #paused: Promise<void>;
  #pause: () => void = () => undefined;

  constructor({ pools, defaultPool, begin }: PoolsOptions) {
    for (const pool of pools) this.#lanes.set(pool.name, { pool, slots: new Slots(pool.size, begin) });
    this.#default = this.#lanes.get(defaultPool) as Lane;
    this.#paused = new Promise((resolve) => (this.#pause = resolve));
  }

  /** How many slots are taken. */
  get running(): number {
    return this.#all().reduce((sum, { running }) => sum + running, 0);
  }

  /** Where this execution runs. */
  poolOf(execution: Execution): Pool {
    return this.#laneOf(execution).pool;
  }

  /** Begins it as soon as there is a slot. */
  push(execution: Execution): void {
    this.#laneOf(execution).slots.push(execution);
  }

  /** Begins it at once, whatever runs, even while paused. */
  begin(execution: Execution): void {
    this.#laneOf(execution).slots.start(execution);
  }

  /** Gives back the slot of this execution. */
  release(execution: Execution): void {
    const { pool, slots } = this.#laneOf(execution);
    const replaced = pool.replaced(execution);
    if (replaced === null) slots.release();
    // Once nothing begins any more there is nothing to wait for.
    else void Promise.race([replaced, this.#paused]).then(() => slots.release());
  }

  /** Nothing begins from now on, until `resume`. */
  pause(): void {
    for (const slots of this.#all()) slots.pause();
    this.#pause();
  }

  /** What waits may begin again. */
  resume(): void {
    for (const slots of this.#all()) slots.resume();
  }

  /** Forgets what waits, but for these. */
  keep(isKept: (execution: Execution) => boolean): void {
    for (const slots of this.#all()) slots.keep(isKept);
  }

  /** Resolves when no slot is taken. */
  async idle(): Promise<void> {
    await Promise.all(this.#all().map((slots) => slots.idle()));
  }

  #all(): readonly Slots<Execution>[] {
    return [...this.#lanes.values()].map(({ slots }) => slots);
  }

  #laneOf({ definition }: Execution): Lane {
    const name = definition?.pool ?? null;
    return name === null ? this.#default : (this.#lanes.get(name) ?? this.#default);
  }
}
