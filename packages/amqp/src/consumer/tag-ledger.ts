/** Which settlements to send: all tags up to one, then some by themselves. */
export interface Settlements {
  /** Settles this tag and every unsettled one below it. */
  readonly upTo: number | null;
  readonly single: readonly number[];
}

/**
 * Knows which delivery tags of one channel are unsettled: at most as many as the prefetch. They rise, one a delivery; each may be
 * settled once, or the broker closes the channel (406).
 */
export class TagLedger {
  /** In rising order, as they came. */
  readonly #unsettled = new Set<number>();

  get isEmpty(): boolean {
    return this.#unsettled.size === 0;
  }

  receive(tag: number): void {
    this.#unsettled.add(tag);
  }

  /** Settles these, in any order; one that was settled before is passed over. */
  settle(tags: readonly number[]): Settlements {
    const fresh = tags.filter((tag) => this.#unsettled.delete(tag)).sort((a, b) => a - b);
    // The broker must still know the tag that a multiple one names: the last of these below all that is unsettled.
    const lowest = this.#unsettled.values().next().value ?? Infinity;
    const above = fresh.findIndex((tag) => tag > lowest);
    const prefix = above === -1 ? fresh.length : above;
    return { upTo: fresh[prefix - 1] ?? null, single: fresh.slice(prefix) };
  }
}
