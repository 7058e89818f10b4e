import { type CommitResult, type Completion, LovageError, type RecordWrite, isLovageError } from '@lovage/core';
import type { Database } from '../database/database.js';
import { type OutboxStatements, commitValues } from '../outbox/statements.js';
import { recordBatches, sizeOf } from './record-batches.js';
import { isStorableId } from './storable-id.js';
import { type RecordStatements, upsertValues } from './statements.js';

type CommitStatements = Pick<RecordStatements, 'upsert'> & Pick<OutboxStatements, 'commit'>;

/** jsonb holds strings and containers of at most 256 MB; more would only break the connection, or pg's own buffers. */
const MAX_ROW_BYTES = 255 * 2 ** 20;

interface IndexedCompletion extends Completion {
  /** Its place in the call. */
  readonly index: number;
}

/** Commits completions in guarded batches. One that the database cannot store is found by halving and harms no other. */
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
    const sendable: IndexedCompletion[] = [];
    completions.forEach((completion, index) => {
      const reason = unsendable(completion);
      if (reason === null) sendable.push({ ...completion, index });
      else results[index] = notStorable(completion.record, reason);
    });
    for (const batch of recordBatches(sendable)) await this.#write(batch, results);
    return results;
  }

  async #write(batch: readonly IndexedCompletion[], results: CommitResult[]): Promise<void> {
    try {
      const rows = batch.some(causesMore)
        ? await this.#database.run(this.#statements.commit, commitValues(batch))
        : await this.#database.run(this.#statements.upsert, upsertValues(batch.map(({ record }) => record)));
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

/** Most do not, and need the lesser statement. */
function causesMore({ record, followUps, uniqueKey }: Completion): boolean {
  return followUps.length > 0 || uniqueKey !== null || record.due !== null;
}

/** What could not even be sent: a row too large for one statement, or an id that would come back as another. */
function unsendable(completion: Completion): string | null {
  if (!isStorableId(completion.record.id)) return 'its id holds a NUL or a lone surrogate';
  const size = sizeOf(completion);
  return size > MAX_ROW_BYTES ? `expected at most ${MAX_ROW_BYTES} bytes, got ${size}` : null;
}

function notStorable({ id }: RecordWrite, reason: string, cause?: unknown): LovageError {
  return new LovageError('LOVAGE_RESULT_NOT_STORABLE', `the record of task ${id} cannot be stored: ${reason}`, {
    cause,
  });
}
