/** Which settlements to send: all tags up to one, then some by themselves. */
export interface Settlements {
  /** Settles this tag and every unsettled one below it. */
  readonly upTo: number | null;
  readonly single: readonly number[];
}

/**
 * Knows which delivery tags of one channel are settled. They count from 1, one a delivery; each may be settled once, or the broker
 * closes the channel (406).
 */
export class TagLedger {
  /** All tags below it are settled. */
  #floor = 1;
  /** Settled tags above the floor. */
  readonly #above = new Set<number>();

  /** Settles these, in any order; one that was settled before is passed over. */
  settle(tags: readonly number[]): Settlements {
    const fresh: number[] = [];
    for (const tag of tags) {
      if (tag < this.#floor || this.#above.has(tag)) continue;
      this.#above.add(tag);
      fresh.push(tag);
    }
    fresh.sort((a, b) => a - b);
    while (this.#above.delete(this.#floor)) this.#floor += 1;
    // The broker must still know the tag that a multiple one names: the last of these below the floor.
    const covered = fresh.findIndex((tag) => tag >= this.#floor);
    const prefix = covered === -1 ? fresh.length : covered;
    return { upTo: fresh[prefix - 1] ?? null, single: prefix === 0 ? fresh : fresh.slice(prefix) };
  }
}
