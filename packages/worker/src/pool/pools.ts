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
  /** Each gives back a slot that is kept until what was lost is replaced. */
  readonly #kept = new Set<() => void>();
  #isPaused = false;

  constructor({ pools, defaultPool, begin }: PoolsOptions) {
    for (const pool of pools) this.#lanes.set(pool.name, { pool, slots: new Slots(pool.size, begin) });
    this.#default = this.#lanes.get(defaultPool) as Lane;
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
    // Once nothing begins any more there is nothing to wait for.
    if (replaced === null || this.#isPaused) return slots.release();
    const giveBack = (): void => {
      if (this.#kept.delete(giveBack)) slots.release();
    };
    this.#kept.add(giveBack);
    void replaced.then(giveBack);
  }

  /** Nothing begins from now on, until `resume`. */
  pause(): void {
    this.#isPaused = true;
    for (const slots of this.#all()) slots.pause();
    for (const giveBack of this.#kept) giveBack();
  }

  /** What waits may begin again. */
  resume(): void {
    this.#isPaused = false;
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
