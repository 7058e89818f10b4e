import { LovageError, type TransactionClient, isLovageError } from '@lovage/core';
import { databaseError, failureOf, sqlStateOf } from '../database/database-error.js';
import type { Row, Run } from '../database/database.js';

const NO_TRANSACTION = '25P01';
const ABORTED = '25P02';

/** What is under way on each client: savepoints of two calls at once would end each other. */
const busy = new WeakMap<TransactionClient, Promise<unknown>>();

/**
 * Runs `work` inside the transaction that is open on the user's client, in a savepoint of that name: if it fails, the transaction is as it was.
 * What is called meanwhile on the same client waits. Throws LOVAGE_TRANSACTION_REQUIRED, coded errors, and pg's own where a conflict (40001, 40P01)
 * asks the user to run the transaction again.
 */
export async function inUserTransaction<T>(
  client: TransactionClient,
  savepoint: string,
  work: (run: Run) => Promise<T>,
): Promise<T> {
  refusePool(client);
  const turn = (busy.get(client) ?? Promise.resolve()).then(() => inSavepoint(client, savepoint, work));
  const settled = turn.catch(() => undefined);
  busy.set(client, settled);
  return await turn;
}

async function inSavepoint<T>(
  client: TransactionClient,
  savepoint: string,
  work: (run: Run) => Promise<T>,
): Promise<T> {
  try {
    await client.query(`SAVEPOINT ${savepoint}`);
  } catch (error) {
    throw codedError(error);
  }
  try {
    const result = await work(async ({ text }, values) => (await client.query(text, [...values])).rows as Row[]);
    await client.query(`RELEASE SAVEPOINT ${savepoint}`);
    return result;
  } catch (error) {
    try {
      await client.query(`ROLLBACK TO SAVEPOINT ${savepoint}`);
      await client.query(`RELEASE SAVEPOINT ${savepoint}`);
    } catch {
      // The connection is broken, and the first error says so.
    }
    throw codedError(error);
  }
}

/** On a pool each statement may go to another connection, so that nothing of it would be in any transaction of the user's. */
function refusePool(client: TransactionClient): void {
  if (typeof client.query === 'function' && !('totalCount' in client)) return;
  throw new LovageError(
    'LOVAGE_TRANSACTION_REQUIRED',
    'expected tx to be one connection with an open transaction, got a Pool or something without `query`: take a client with pool.connect(), BEGIN, and pass that',
  );
}

function codedError(error: unknown): unknown {
  if (isLovageError(error)) return error;
  const cause = { cause: error };
  const sqlState = sqlStateOf(error);
  if (sqlState === NO_TRANSACTION)
    return new LovageError(
      'LOVAGE_TRANSACTION_REQUIRED',
      'expected a transaction to be open on tx, got none: call BEGIN on it first',
      cause,
    );
  if (sqlState === ABORTED)
    return new LovageError(
      'LOVAGE_TRANSACTION_REQUIRED',
      'expected the transaction on tx to be in order, but a statement before this one has failed: it can only be rolled back',
      cause,
    );
  const failure = failureOf(error);
  if (failure === 'conflict') return error;
  if (sqlState === '42P01' || sqlState === '3F000' || sqlState === '42703')
    return new LovageError(
      'LOVAGE_SCHEMA',
      `Lovage's tables (results.schema) must be in the database that tx is connected to: ${(error as Error).message}; run \`lovage migrate -A <app>\``,
      cause,
    );
  return databaseError(error, "the user's connection");
}
