import { type CommitResult, type Completion, LovageError, type RecordWrite, isLovageError } from '@lovage/core';
import type { Database, Row } from '../database/database.js';
import { failureOf } from '../database/database-error.js';
import { type OutboxStatements, commitValues } from '../outbox/statements.js';
import { type Entry, entryOf, recordBatches } from './record-batches.js';
import { isStorableId } from './storable-id.js';
import { type RecordStatements, upsertValues } from './statements.js';

type CommitStatements = Pick<RecordStatements, 'upsert'> & Pick<OutboxStatements, 'commit'>;

/** jsonb holds strings and containers of at most 256 MB; more would only break the connection, or pg's own buffers. */
const MAX_ROW_BYTES = 255 * 2 ** 20;

const HALVES_LOCK_TIMEOUT_MS = 50;

/** Commits completions in guarded batches. One that the database cannot store, or that somebody has locked, is found by halving and harms no other. */
export class RecordCommitter {
  readonly #database: Database;
  readonly #statements: CommitStatements;

  constructor(database: Database, statements: CommitStatements) {
    this.#database = database;
    this.#statements = statements;
  }

  /** One result a completion, in order. Rejects as `ResultBackend.commit` does. */
  async commit(completions: readonly Completion[]): Promise<readonly CommitResult[]> {
    const results: CommitResult[] = [];
    const sendable = completions.map(entryOf).filter((entry) => {
      const reason = unsendable(entry);
      if (reason !== null) results[entry.index] = notStorable(entry.completion.record, reason);
      return reason === null;
    });
    for (const batch of recordBatches(sendable)) await this.#write(batch, results);
    return results;
  }

  /** @param lockTimeoutMs null: the connection's own; else what each statement may wait for somebody's lock. */
  async #write(batch: readonly Entry[], results: CommitResult[], lockTimeoutMs: number | null = null): Promise<void> {
    try {
      const applied = await this.#send(batch, lockTimeoutMs);
      // Nearly always.
      if (applied.length === batch.length) for (const { index } of batch) results[index] = 'applied';
      else tellApart(batch, applied, results);
    } catch (error) {
      const isLocked = failureOf(error) === 'locked';
      if (!isLocked && !isLovageError(error, 'LOVAGE_RESULT_NOT_STORABLE')) throw error;
      const [first] = batch;
      if (batch.length === 1 && first !== undefined) {
        const {
          completion: { record },
          index,
        } = first;
        results[index] = isLocked ? locked(record, error) : notStorable(record, (error as Error).message, error);
        return;
      }
      // It has waited long enough once; the neighbours of the locked row need not wait for each other.
      const timeoutMs = isLocked ? HALVES_LOCK_TIMEOUT_MS : lockTimeoutMs;
      const middle = batch.length >> 1;
      await this.#write(batch.slice(0, middle), results, timeoutMs);
      await this.#write(batch.slice(middle), results, timeoutMs);
    }
  }

  async #send(batch: readonly Entry[], lockTimeoutMs: number | null): Promise<readonly Row[]> {
    const completions = batch.map(({ completion }) => completion);
    const [statement, values] = completions.some(causesMore)
      ? [this.#statements.commit, commitValues(completions)]
      : [this.#statements.upsert, upsertValues(completions.map(({ record }) => record))];
    return lockTimeoutMs === null
      ? await this.#database.run(statement, values)
      : await this.#database.transaction((run) => run(statement, values), lockTimeoutMs);
  }
}

function tellApart(batch: readonly Entry[], rows: readonly Row[], results: CommitResult[]): void {
  const applied = new Set(rows.map(({ id }) => id));
  for (const { index, completion } of batch)
    results[index] = applied.has(completion.record.id) ? 'applied' : 'superseded';
}

/** Most do not, and need the lesser statement. */
function causesMore({ record, followUps, uniqueKey, parkedRow }: Completion): boolean {
  return followUps.length > 0 || uniqueKey !== null || record.due !== null || parkedRow !== null;
}

/** What could not even be sent: a row too large for one statement, or an id that would come back as another. */
function unsendable({ completion, size }: Entry): string | null {
  if (!isStorableId(completion.record.id)) return 'its id holds a NUL or a lone surrogate';
  return size > MAX_ROW_BYTES ? `expected at most ${MAX_ROW_BYTES} bytes, got ${size}` : null;
}

function notStorable({ id }: RecordWrite, reason: string, cause?: unknown): LovageError {
  return new LovageError('LOVAGE_RESULT_NOT_STORABLE', `the record of task ${id} cannot be stored: ${reason}`, {
    cause,
  });
}

/** A user's open transaction has written a record of that id; what it waits for is not known. */
function locked({ id }: RecordWrite, cause: unknown): LovageError {
  return new LovageError('LOVAGE_RESULTS_UNAVAILABLE', `the record of task ${id} is locked by another transaction`, {
    cause,
  });
}
