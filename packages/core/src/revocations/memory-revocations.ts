import { type MemoryOutbox, type OutboxRecords, revokedWrite } from '../outbox/memory-outbox.js';
import type { Runtime } from '../runtime/runtime.js';
import { isFinalState } from '../state/task-state.js';
import type { Revocation, RevocationStore, RevokeResult } from './revocation-store.js';

/** What the revocations of one URL share. */
export interface RevocationsStore {
  readonly rows: Map<string, Revocation & { readonly revokedAt: number }>;
  readonly watchers: Set<() => void>;
}

export function newRevocationsStore(): RevocationsStore {
  return { rows: new Map(), watchers: new Set() };
}

export interface MemoryRevocationsOptions {
  readonly store: RevocationsStore;
  readonly records: OutboxRecords;
  readonly outbox: MemoryOutbox;
  readonly runtime: Runtime;
}

/** The revocations of the in-memory result backend. Gone with the process. */
export class MemoryRevocations implements RevocationStore {
  readonly #options: MemoryRevocationsOptions;

  constructor(options: MemoryRevocationsOptions) {
    this.#options = options;
  }

  async revoke(
    ids: readonly string[],
    options: { readonly terminate: boolean; readonly reason: string },
  ): Promise<readonly RevokeResult[]> {
    const results = ids.map((id) => this.#revoke({ id, ...options }));
    if (results.some(({ state }) => state === 'REVOKED')) for (const wake of [...this.#options.store.watchers]) wake();
    return results;
  }

  async recent(ageMs: number): Promise<readonly Revocation[]> {
    const since = this.#options.runtime.now() - ageMs;
    return [...this.#options.store.rows.values()]
      .filter(({ revokedAt }) => revokedAt >= since)
      .map(({ id, terminate, reason }) => ({ id, terminate, reason }));
  }

  watch(onWake: () => void): () => void {
    const { watchers } = this.#options.store;
    // Wrapped, so that two watches of one function are two.
    const watcher = (): void => onWake();
    watchers.add(watcher);
    return () => void watchers.delete(watcher);
  }

  async expire(ageMs: number, limit: number): Promise<number> {
    const { store, runtime } = this.#options;
    const before = runtime.now() - ageMs;
    const old = [...store.rows.values()].filter(({ revokedAt }) => revokedAt < before).slice(0, limit);
    for (const { id } of old) store.rows.delete(id);
    return old.length;
  }

  // Nothing here awaits: it is one commit.
  #revoke({ id, terminate, reason }: Revocation): RevokeResult {
    const { store, records, outbox, runtime } = this.#options;
    const stored = records.get(id);
    if (stored !== undefined && isFinalState(stored.state) && stored.state !== 'REVOKED')
      return { id, state: stored.state };
    const call = outbox.withdraw(id);
    // What it knows of the task the record knows too, if there is one.
    const write = { ...revokedWrite(id, stored, reason), ...(stored === undefined && call) };
    if (records.write(write)) {
      outbox.endUniqueOf(id);
      records.ended(id);
    }
    const isTerminated = terminate || store.rows.get(id)?.terminate === true;
    store.rows.set(id, { id, terminate: isTerminated, reason, revokedAt: runtime.now() });
    return { id, state: 'REVOKED' };
  }
}
