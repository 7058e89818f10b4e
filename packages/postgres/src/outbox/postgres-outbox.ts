import {
  type EnqueueResult,
  type Outbox,
  type OutboxCall,
  type OutboxClaim,
  type OutboxMessage,
  type OutboxWatch,
  type Runtime,
  type ScheduledFilter,
  type ScheduledTask,
  type TransactionClient,
  type UniqueHold,
} from '@lovage/core';
import { columnsOf } from '../database/columns.js';
import type { Database, Run } from '../database/database.js';
import { isStorableId } from '../records/storable-id.js';
import { assertStorable, enqueueCalls, isOneStatement } from './enqueue-calls.js';
import { outboxMessageOf, scheduledTaskOf } from './outbox-row.js';
import { HOLD, type OutboxStatements, SENDING, enqueueValues } from './statements.js';
import { inUserTransaction } from './user-transaction.js';

export interface PostgresOutboxOptions {
  readonly database: Database;
  readonly statements: OutboxStatements;
  /** Where those who watch listen. */
  readonly channel: string;
  readonly tableId: () => Promise<string>;
  readonly runtime: Runtime;
  readonly watch: (onWake: () => void) => OutboxWatch;
  /** Final records are committed: tells who waits for them. */
  readonly onEnded: (ends: readonly { readonly id: string; readonly replyTo: string | null }[]) => void;
}

const DEFAULT_LIMIT = 100;

const CANCELLED = JSON.stringify({
  type: 'TaskRevokedError',
  message: 'cancelled',
  stack: null,
  code: 'LOVAGE_TASK_REVOKED',
});

/** The outbox of the PostgreSQL result backend. What it promises is in Outbox; how, in its statements. */
export class PostgresOutbox implements Outbox {
  readonly #options: PostgresOutboxOptions;

  constructor(options: PostgresOutboxOptions) {
    this.#options = options;
  }

  tableId(): Promise<string> {
    return this.#options.tableId();
  }

  async enqueue(
    calls: readonly OutboxCall[],
    { tx = null }: { readonly tx?: TransactionClient | null } = {},
  ): Promise<readonly EnqueueResult[]> {
    const { database, statements, channel, runtime } = this.#options;
    assertStorable(calls);
    const write = (run: Run): Promise<readonly EnqueueResult[]> => enqueueCalls(calls, { statements, channel, run });
    if (tx !== null) return await inUserTransaction(tx, `lovage_${runtime.uuid().replaceAll('-', '')}`, write);
    if (isOneStatement(calls)) return await write((statement, values) => database.run(statement, values));
    return await database.transaction(write);
  }

  async requeue(call: OutboxCall): Promise<boolean> {
    const { database, statements, channel } = this.#options;
    if (call.record === null || !isStorableId(call.taskId)) return false;
    return (await database.run(statements.requeue, enqueueValues([call], channel))).length > 0;
  }

  async claim(limit: number): Promise<OutboxClaim> {
    const { database, statements } = this.#options;
    const rows = await database.run(statements.claim, [limit]);
    const next = rows[0]?.['next'] ?? null;
    return {
      messages: rows.filter(({ id }) => id !== null).map(outboxMessageOf),
      nextDueMs: next === null ? null : Math.max(0, Number(next)),
      now: Number(rows[0]?.['now']),
    };
  }

  async park(row: OutboxMessage): Promise<void> {
    const { database, statements } = this.#options;
    assertStorable([{ ...row, record: null, unique: null }]);
    await database.run(statements.park, columnsOf(SENDING, [{ cause: null, message: row }]));
  }

  async renew(rowIds: readonly string[], inMs: number): Promise<readonly string[]> {
    const { database, statements, channel } = this.#options;
    if (rowIds.length === 0) return [];
    return (await database.run(statements.renew, [rowIds, inMs, channel])).map(({ id }) => id ?? '');
  }

  async remove(rowIds: readonly string[]): Promise<void> {
    const { database, statements } = this.#options;
    if (rowIds.length > 0) await database.run(statements.remove, [rowIds]);
  }

  async release(holds: readonly UniqueHold[]): Promise<void> {
    const { database, statements } = this.#options;
    if (holds.length > 0) await database.run(statements.release, columnsOf(HOLD, holds));
  }

  watch(onWake: () => void): OutboxWatch {
    return this.#options.watch(onWake);
  }

  async scheduled({ ids, task, queue, limit = DEFAULT_LIMIT }: ScheduledFilter): Promise<readonly ScheduledTask[]> {
    const { database, statements } = this.#options;
    const rest = [task ?? null, queue ?? null, limit];
    const rows =
      ids === undefined
        ? await database.run(statements.scheduled, rest)
        : await database.run(statements.scheduledTasks, [ids.filter(isStorableId), ...rest]);
    return rows.map(scheduledTaskOf);
  }

  async cancel(taskIds: readonly string[]): Promise<readonly string[]> {
    const { database, statements, onEnded } = this.#options;
    const rows = await database.run(statements.cancel, [taskIds.filter(isStorableId), CANCELLED]);
    const ends = rows.map(({ id, reply_to: replyTo }) => ({ id: id ?? '', replyTo: replyTo ?? null }));
    onEnded(ends);
    return ends.map(({ id }) => id);
  }
}
