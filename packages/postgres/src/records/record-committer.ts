import { type CommitResult, LovageError, type RecordWrite, isLovageError } from '@lovage/core';
import type { Database } from '../database/database.js';
import { type IndexedWrite, recordBatches, sizeOf } from './record-batches.js';
import { isStorableId } from './storable-id.js';
import { type RecordStatements, upsertValues } from './statements.js';

/** jsonb holds strings and containers of at most 256 MB; more would only break the connection, or pg's own buffers. */
const MAX_ROW_BYTES = 255 * 2 ** 20;

/** Writes records in guarded batches. A row that the database cannot store is found by halving and harms no other. */
export class RecordCommitter {
  readonly #database: Database;
  readonly #statements: Pick<RecordStatements, 'upsert'>;

  constructor(database: Database, statements: Pick<RecordStatements, 'upsert'>) {
    this.#database = database;
    this.#statements = statements;
  }

  /** One result a record, in order. Rejects as `ResultBackend.commit` does. */
  async commit(records: readonly RecordWrite[]): Promise<readonly CommitResult[]> {
    const results: CommitResult[] = [];
    const sendable: IndexedWrite[] = [];
    records.forEach((record, index) => {
      const reason = unsendable(record);
      if (reason === null) sendable.push({ index, record });
      else results[index] = notStorable(record, reason);
    });
    for (const batch of recordBatches(sendable)) await this.#write(batch, results);
    return results;
  }

  async #write(batch: readonly IndexedWrite[], results: CommitResult[]): Promise<void> {
    try {
      const rows = await this.#database.run(this.#statements.upsert, upsertValues(batch.map(({ record }) => record)));
      const applied = new Set(rows.map(({ id }) => id));
      for (const { index, record } of batch) results[index] = applied.has(record.id) ? 'applied' : 'superseded';
    } catch (error) {
      if (!isLovageError(error, 'LOVAGE_RESULT_NOT_STORABLE')) throw error;
      const [first] = batch;
      if (batch.length === 1 && first !== undefined) {
        results[first.index] = notStorable(first.record, error.message, error);
        return;
      }
      const middle = batch.length >> 1;
      await this.#write(batch.slice(0, middle), results);
      await this.#write(batch.slice(middle), results);
    }
  }
}

/** What could not even be sent: a row too large for one statement, or an id that would come back as another. */
function unsendable(record: RecordWrite): string | null {
  if (!isStorableId(record.id)) return 'its id holds a NUL or a lone surrogate';
  const size = sizeOf(record);
  return size > MAX_ROW_BYTES ? `expected at most ${MAX_ROW_BYTES} bytes, got ${size}` : null;
}

function notStorable({ id }: RecordWrite, reason: string, cause?: unknown): LovageError {
  return new LovageError('LOVAGE_RESULT_NOT_STORABLE', `the record of task ${id} cannot be stored: ${reason}`, {
    cause,
  });
}
