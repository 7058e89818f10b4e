import {
  type FinalTaskState,
  LovageError,
  type Revocation,
  type RevocationStore,
  type RevokeResult,
  isFinalState,
} from '@lovage/core';
import { chunksOf } from '../database/chunks.js';
import type { Database } from '../database/database.js';
import { sqlStateOf } from '../database/database-error.js';
import { stateOf } from '../records/record-row.js';
import type { RecordStatements } from '../records/statements.js';
import { wakePayloads } from '../waiting/reply-channel.js';
import type { RevocationStatements } from './statements.js';

export interface PostgresRevocationsOptions {
  readonly database: Database;
  readonly statements: RevocationStatements & Pick<RecordStatements, 'states'>;
  /** Where those who watch, and those who wait for a result, listen. */
  readonly channel: string;
  readonly watch: (onWake: () => void) => () => void;
}

type RevokeOptions = Parameters<RevocationStore['revoke']>[1];

const LOCK_NOT_AVAILABLE = '55P03';
/** How long many wait together for a record that somebody holds; what commits meanwhile waits for them. By itself one may wait as long as any statement. */
const BATCH_LOCK_TIMEOUT_MS = 200;

/** The revocations of the PostgreSQL result backend. What they promise is in RevocationStore; how, in their statements. */
export class PostgresRevocations implements RevocationStore {
  readonly #options: PostgresRevocationsOptions;

  constructor(options: PostgresRevocationsOptions) {
    this.#options = options;
  }

  async revoke(ids: readonly string[], options: RevokeOptions): Promise<readonly RevokeResult[]> {
    const revoked = new Set<string>();
    const locked: LovageError[] = [];
    // Sorted as commits are.
    const sorted = [...ids].sort((a, b) => (a < b ? -1 : 1));
    for (const batch of chunksOf(sorted, (id) => Buffer.byteLength(id))) {
      for (const id of await this.#revoke(batch, options, locked)) revoked.add(id);
      await this.#follow(batch.filter((id) => revoked.has(id)));
    }
    if (locked[0] !== undefined) throw locked[0];
    const ends = await this.#endsOf(ids.filter((id) => !revoked.has(id)));
    for (const id of revoked) ends.set(id, 'REVOKED');
    // Whose end was taken back at this very moment.
    const open = ids.filter((id) => !ends.has(id));
    if (open.length > 0) for (const { id, state } of await this.revoke(open, options)) ends.set(id, state);
    return ids.map((id) => ({ id, state: ends.get(id) as FinalTaskState }));
  }

  async recent(ageMs: number): Promise<readonly Revocation[]> {
    const { database, statements } = this.#options;
    const rows = await database.run(statements.recent, [ageMs]);
    return rows.map(({ id, terminate, reason }) => ({
      id: id ?? '',
      terminate: terminate === 't',
      reason: reason ?? '',
    }));
  }

  watch(onWake: () => void): () => void {
    return this.#options.watch(onWake);
  }

  async expire(ageMs: number, limit: number): Promise<number> {
    const { database, statements } = this.#options;
    return (await database.run(statements.expire, [ageMs, limit])).length;
  }

  /** The ids of those that are REVOKED now. A record that is locked is found by halving, so that what waits for it keeps no lock on the others; its error is added to `locked`. */
  async #revoke(ids: readonly string[], options: RevokeOptions, locked: LovageError[]): Promise<readonly string[]> {
    const { database, statements } = this.#options;
    const { terminate, reason } = options;
    const values = [ids, terminate, reason, JSON.stringify(errorOf(reason))];
    try {
      const rows =
        ids.length === 1
          ? await database.run(statements.revoke, values)
          : await database.transaction((run) => run(statements.revoke, values), BATCH_LOCK_TIMEOUT_MS);
      return rows.map(({ id }) => id ?? '');
    } catch (error) {
      if (sqlStateOf(error) !== LOCK_NOT_AVAILABLE) throw error;
      if (ids.length === 1) {
        locked.push(lockedError(ids[0] ?? '', error));
        return [];
      }
      const middle = ids.length >> 1;
      const first = await this.#revoke(ids.slice(0, middle), options, locked);
      return [...first, ...(await this.#revoke(ids.slice(middle), options, locked))];
    }
  }

  async #follow(ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    const { database, statements, channel } = this.#options;
    const payloads = wakePayloads(ids);
    // They are revoked. Whoever is not told reads, and what is not taken out is dropped where it arrives.
    await database.run(statements.follow, [ids, payloads.map(() => channel), payloads]).catch(() => undefined);
  }

  async #endsOf(ids: readonly string[]): Promise<Map<string, FinalTaskState>> {
    if (ids.length === 0) return new Map();
    const rows = await this.#options.database.run(this.#options.statements.states, [ids]);
    return new Map(rows.map(stateOf).flatMap(([id, { state }]) => (isFinalState(state) ? [[id, state] as const] : [])));
  }
}

function errorOf(reason: string): object {
  return { type: 'TaskRevokedError', message: reason, stack: null, code: 'LOVAGE_TASK_REVOKED' };
}

/** Most likely a call in a user's transaction that has not committed. */
function lockedError(id: string, cause: unknown): LovageError {
  return new LovageError(
    'LOVAGE_RESULTS_UNAVAILABLE',
    `task ${id} cannot be revoked now: another transaction has been open on its record for too long; try again once that has ended`,
    { cause },
  );
}
