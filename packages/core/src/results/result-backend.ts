import type { LovageError } from '../errors/lovage-error.js';
import type { Outbox, OutboxMessage } from '../outbox/outbox.js';
import type { SchemaManager } from '../runtime/schema-manager.js';
import type { RevocationStore } from '../revocations/revocation-store.js';
import type { StartOptions } from '../runtime/start-options.js';
import type { TaskState } from '../state/task-state.js';
import type { ResultPartitions } from './result-partitions.js';
import type { Starts } from './starts.js';
import type { RecordState, RecordWrite, TaskRecord } from './task-record.js';

/** All that one execution leaves behind, committed as one. */
export interface Completion {
  readonly record: RecordWrite;
  /** Where the caller listens, to be told once a final record is committed; null: nobody does. */
  readonly replyTo: string | null;
  /** Messages that the commit causes: written to the outbox if, and only if, the record applies (rule 1). Needs the capability `outbox`. */
  readonly followUps: readonly OutboxMessage[];
  /** The unique key that this task holds; a final record frees it (scope `finished`: from then on its time runs). null: none. */
  readonly uniqueKey: string | null;
  /** The row of the outbox that the task's message was parked in (`Outbox.park`): deleted by the commit, whether the record applies or not. null: none. */
  readonly parkedRow: string | null;
}

/**
 * What a commit did with one completion: `applied`; `superseded`, as the record was final or of a later attempt (rule 2), so
 * that nothing was written; or the error of a row that the database cannot store (LOVAGE_RESULT_NOT_STORABLE), which harmed no neighbour (rule 7).
 */
export type CommitResult = 'applied' | 'superseded' | LovageError;

/** Which records; all that is given must hold. */
export interface TaskFilter {
  readonly ids?: readonly string[] | undefined;
  readonly state?: TaskState | undefined;
  readonly task?: string | undefined;
  /** Records created at or after this instant. */
  readonly since?: Date | undefined;
  /** At most so many; 100 unless `ids` is given. */
  readonly limit?: number | undefined;
}

/** What only some backends can do. A power that is absent is undefined. */
export interface ResultBackendCapabilities {
  readonly schema?: SchemaManager;
  readonly outbox?: Outbox;
  readonly revocations?: RevocationStore;
  readonly starts?: Starts;
  readonly partitions?: ResultPartitions;
}

/** Keeps the records of tasks. Batch first. A driver emits `connection:*` events with target 'results' on the bus it was created with. */
export interface ResultBackend {
  readonly capabilities: ResultBackendCapabilities;

  /**
   * Connects and checks the schema: LOVAGE_RESULTS_UNAVAILABLE when `retryForMs` is over, LOVAGE_ACCESS_REFUSED and LOVAGE_SCHEMA at once.
   * After a failure it may be called again.
   */
  start(options: StartOptions): Promise<void>;

  /** Idempotent. Open waits end with LOVAGE_STOPPED. */
  stop(): Promise<void>;

  /**
   * Writes records, guarded (rule 2, `mayFollow`): a write applies if the stored record is not final and its attempt is not above the write's; a non-final
   * write of the same attempt never steps back (RECEIVED after STARTED), and PENDING and RETRY, which announce an attempt that is yet to come,
   * apply over earlier attempts alone: of two copies that both fail, one causes a retry. A REVOKED record of which nothing was known (its `task` is empty) takes what a REVOKED write tells, and
   * keeps its end. What a completion causes is part of the same statement. One result a completion, in order. Among several of one id the first that applies wins.
   * Rejects only when the database cannot be reached (LOVAGE_RESULTS_UNAVAILABLE) or cannot take anything now; then nothing of it need have happened and the
   * same call may be made again. Waiters are told after the commit, never before.
   */
  commit(completions: readonly Completion[]): Promise<readonly CommitResult[]>;

  /** How far these tasks have come, without reading arguments and results; no entry for an id without a record. */
  states(ids: readonly string[]): Promise<ReadonlyMap<string, RecordState>>;

  /** Newest first by creation. */
  find(filter: TaskFilter): Promise<readonly TaskRecord[]>;

  /** Resolves with the record once it is final: at once if it is already, else within a second or so even where no announcement arrives. Rejects with the signal's reason, or LOVAGE_STOPPED. */
  waitFor(id: string, signal: AbortSignal): Promise<TaskRecord>;

  /** What callers of this process put into `replyTo`, from the first `waitFor` on; null before, and where waiting needs none. */
  readonly replyChannel: string | null;

  /** Deletes records; resolves with how many there were. */
  forget(ids: readonly string[]): Promise<number>;

  /** Deletes final records that finished longer ago than `results.expires`, at most `limit`; resolves with how many. Those that `partitions` will drop soon may be left to it. Starts that were left behind so long ago are forgotten too. */
  expire(limit: number): Promise<number>;
}
