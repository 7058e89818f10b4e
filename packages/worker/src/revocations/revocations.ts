import { setTimeout as pause } from 'node:timers/promises';
import { Alarm, type EventSink, type Revocation, type RevocationStore, type Runtime } from '@lovage/core';
import { Outage } from '../outage.js';

export interface RevocationsOptions {
  readonly store: RevocationStore;
  /** How long a revocation is held. */
  readonly keepMs: number;
  readonly events: EventSink;
  readonly runtime: Runtime;
}

interface Held extends Revocation {
  /** By the monotonic clock. */
  readonly until: number;
}

/** Between two looks of which nobody tells. */
const EVERY_MS = 1_000;
/** Between two looks, however often it is told. */
const MIN_GAP_MS = 20;
/** What is committed late bears the time at which it began; no statement takes as long. */
const OVERLAP_MS = 60_000;
const UNREAD =
  'revocations cannot be read, which is tried again each second: what is revoked meanwhile runs, and counts for nothing';

/**
 * The tasks that are revoked, as far as this worker knows: all that were within `keepMs`, read anew at once where the store tells of news, and each second. All
 * times are the store's own: it is asked for the last so many milliseconds. While it cannot be read, what is known holds.
 */
export class Revocations {
  readonly #options: RevocationsOptions;
  readonly #alarm: Alarm;
  readonly #outage: Outage;
  readonly #stopping = new AbortController();
  /** Those held longest first. */
  readonly #held = new Map<string, Held>();
  #revoked: (news: readonly Revocation[]) => void = () => undefined;
  #running: Promise<void> = Promise.resolve();
  #readAt = -Infinity;

  constructor(options: RevocationsOptions) {
    this.#options = options;
    this.#alarm = new Alarm(options.runtime);
    this.#outage = new Outage(UNREAD, options.events);
  }

  /**
   * Resolves once they have been read, or could not be.
   *
   * @param revoked told of those that are new, or are to be terminated from now on. Must not throw.
   */
  async start(revoked: (news: readonly Revocation[]) => void): Promise<void> {
    this.#revoked = revoked;
    const unwatch = this.#options.store.watch(() => this.#alarm.ringIn(0));
    await this.#read();
    this.#running = this.#run().finally(unwatch);
  }

  /** undefined: it is not revoked, as far as is known. */
  find(id: string): Revocation | undefined {
    return this.#held.get(id);
  }

  /** Idempotent. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#alarm.ringIn(0);
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      this.#alarm.ringIn(EVERY_MS);
      await this.#alarm.rung();
      await pause(MIN_GAP_MS, undefined, { signal }).catch(() => undefined);
      this.#alarm.reset();
      if (!signal.aborted) await this.#read();
    }
  }

  async #read(): Promise<void> {
    const { store, keepMs, runtime } = this.#options;
    const askedAt = runtime.monotonic();
    try {
      const found = await store.recent(Math.min(keepMs, askedAt - this.#readAt + OVERLAP_MS));
      this.#readAt = askedAt;
      this.#outage.worked();
      this.#hold(found, askedAt);
    } catch (error) {
      this.#outage.failed(error);
    }
  }

  #hold(found: readonly Revocation[], now: number): void {
    for (const { id, until } of this.#held.values()) {
      if (until > now) break;
      this.#held.delete(id);
    }
    const news = found.filter(({ id, terminate }) => {
      const known = this.#held.get(id);
      return known === undefined || (terminate && !known.terminate);
    });
    for (const revocation of news) {
      this.#held.delete(revocation.id);
      this.#held.set(revocation.id, { ...revocation, until: now + this.#options.keepMs });
    }
    if (news.length > 0) this.#revoked(news);
  }
}
