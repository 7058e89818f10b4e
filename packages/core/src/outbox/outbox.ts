import type { Message } from '../message/message.js';
import type { RecordWrite } from '../results/task-record.js';
import type { DueTime } from './due-time.js';

/**
 * How long whoever publishes a row has it for itself, in milliseconds: its writer, or the relay that claimed it (rule 4). After that a
 * relay takes it (again).
 */
export const OUTBOX_LEASE_MS = 15_000;

/** One row of the outbox: a message that is to be sent. */
export interface OutboxMessage {
  /** A UUID, never used twice: rows are removed by it. */
  readonly rowId: string;
  /** The task that the message calls; a row never outlives it by much. */
  readonly taskId: string;
  readonly task: string;
  /** Its body is text (UTF-8), its headers are without `eta`. */
  readonly message: Message;
  /** null: born leased. Its writer publishes it right after the commit and removes it; if it does not, a relay does, once the lease is over. Never null where the outbox is the queue itself (`isQueueTable`). */
  readonly due: DueTime | null;
}

/** How long a unique key is held: until a worker takes the task, until its final record, or until `ttlMs` after that. */
export type UniqueScope = 'queued' | 'running' | 'finished';

export const UNIQUE_SCOPES: readonly UniqueScope[] = ['queued', 'running', 'finished'];

/** A key of which at most one task holds each. */
export interface UniqueClaim {
  /** What `uniqueKey` makes of the task and the caller's key. */
  readonly key: string;
  readonly scope: UniqueScope;
  /** The key is free again so long after the call is due (`finished`: after its end), whatever has become of the task. Milliseconds. */
  readonly ttlMs: number;
}

/** A unique key with the task that holds it. */
export interface UniqueHold {
  readonly key: string;
  readonly taskId: string;
}

/** A call that is written instead of sent. */
export interface OutboxCall extends OutboxMessage {
  /** Its PENDING record, written in the same commit; null: the call leaves none. */
  readonly record: RecordWrite | null;
  readonly unique: UniqueClaim | null;
}

/** What became of one call. */
export interface EnqueueResult {
  /** The task that stands for the call: its own, or the one that holds its unique key. */
  readonly taskId: string;
  /** false: nothing was written, as that task is known already (a unique key that is held, or an id that has a record). */
  readonly written: boolean;
}

/**
 * The user's own connection, inside a transaction: a `pg` client, or whatever has its `query`. The statements are PostgreSQL's, with
 * parameters $1, $2, …; all that comes back is text.
 */
export interface TransactionClient {
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- a client's own result type is assignable to nothing narrower
  query(text: string, values?: any[]): PromiseLike<{ readonly rows: any[] }>;
}

/** What a claim found. */
export interface OutboxClaim {
  readonly messages: readonly OutboxMessage[];
  /** In how many milliseconds the next row is due that is not now; null: there is none. */
  readonly nextDueMs: number | null;
  /** The database's clock, in milliseconds since 1970. */
  readonly now: number;
}

/** What follows the outbox's news. */
export interface OutboxWatch {
  /** Idempotent. */
  stop(): Promise<void>;
}

/** Messages on their way into the broker, in the database that keeps the records: a capability of a ResultBackend. Rows are also written by `commit`. */
export interface Outbox {
  /** Names the table of the rows, as `QueueTable.id` does; absent: no transport's queues can be in it. */
  tableId?(): Promise<string>;

  /**
   * Writes calls, all or none, each with its record. One result a call, in order. With `tx` they are part of the transaction open on that connection, and
   * exist when it commits; a statement that fails there leaves the transaction as it was. Works before `start` if `tx` is given.
   *
   * @throws LOVAGE_TRANSACTION_REQUIRED where no transaction is open on `tx` (or it is a Pool); LOVAGE_RESULT_NOT_STORABLE; LOVAGE_SCHEMA; LOVAGE_DRIVER from a
   *   backend that has no transactions; LOVAGE_RESULTS_UNAVAILABLE. What PostgreSQL says of a conflict (40001, 40P01) is passed on from a `tx`.
   */
  enqueue(
    calls: readonly OutboxCall[],
    options?: { readonly tx?: TransactionClient | null },
  ): Promise<readonly EnqueueResult[]>;

  /**
   * The one way out of a final state: the record, which must be FAILURE at the attempt before `call.record`'s, becomes PENDING as `call.record` says, its end moves to its history, and the
   * message is written; one commit. false: the record is not (any more) in that state.
   */
  requeue(call: OutboxCall): Promise<boolean>;

  /** Leases rows that are due, at most `limit`, those due longest first: nobody else gets them for OUTBOX_LEASE_MS. */
  claim(limit: number): Promise<OutboxClaim>;

  /**
   * Keeps the message of a task that runs, whose delivery can then be acknowledged: a row that a relay sends when `due` has come, unless it was renewed or removed before. Never
   * one that is scheduled. A row that is there already is only renewed.
   *
   * @throws LOVAGE_RESULT_NOT_STORABLE, LOVAGE_RESULTS_UNAVAILABLE.
   */
  park(row: OutboxMessage): Promise<void>;

  /**
   * Makes parked rows due in so many milliseconds; 0: now, which is told to those who watch. Resolves with those that are still there: the others were sent by a relay, or are
   * being taken by one, or their tasks have ended. Never waits for a lock.
   */
  renew(rowIds: readonly string[], inMs: number): Promise<readonly string[]>;

  /** Deletes rows whose messages the broker has taken. A row that is not there is passed over. */
  remove(rowIds: readonly string[]): Promise<void>;

  /** Frees unique keys, each only if that task still holds it. */
  release(holds: readonly UniqueHold[]): Promise<void>;

  /** Calls back when a row was written that is due within a second, by whatever process. Best effort: whoever watches polls as well. */
  watch(onWake: () => void): OutboxWatch;

  /** Rows that wait for their time (countdown, eta, retry, postponement), soonest first. */
  scheduled(filter: ScheduledFilter): Promise<readonly ScheduledTask[]>;

  /**
   * Takes scheduled rows of these tasks out, but none that a relay has claimed, and ends the tasks REVOKED, in one commit. Resolves with the ids of
   * those that did; a task that has ended is none, and keeps its unique key. Where a copy is running all the same its outcome is dropped.
   */
  cancel(taskIds: readonly string[]): Promise<readonly string[]>;
}

/** Which scheduled tasks; all that is given must hold. */
export interface ScheduledFilter {
  readonly ids?: readonly string[] | undefined;
  readonly task?: string | undefined;
  readonly queue?: string | undefined;
  /** At most so many; default 100. */
  readonly limit?: number | undefined;
}

/** A task that waits for its time. */
export interface ScheduledTask {
  readonly id: string;
  readonly task: string;
  readonly queue: string;
  /** When it is due. */
  readonly eta: Date;
  /** How often it has been retried before. */
  readonly retries: number;
  /** The arguments as JSON, for people, cut to about 1,000 characters. */
  readonly argsText: string;
  readonly createdAt: Date;
}
