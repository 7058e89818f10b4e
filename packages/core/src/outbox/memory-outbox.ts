import { LovageError } from '../errors/lovage-error.js';
import type { HeaderValue } from '../message/message.js';
import { notStorable } from '../results/not-storable.js';
import type { Completion } from '../results/result-backend.js';
import type { RecordWrite, TaskRecord } from '../results/task-record.js';
import type { Runtime } from '../runtime/runtime.js';
import { isFinalState } from '../state/task-state.js';
import type { DueTime } from './due-time.js';
import {
  OUTBOX_LEASE_MS,
  type EnqueueResult,
  type Outbox,
  type OutboxCall,
  type OutboxClaim,
  type OutboxMessage,
  type OutboxWatch,
  type ScheduledFilter,
  type ScheduledTask,
  type TransactionClient,
  type UniqueClaim,
  type UniqueHold,
} from './outbox.js';
import { parseUniqueHeader } from './unique-key.js';

interface OutboxRow {
  readonly message: OutboxMessage;
  /** null: it does not wait for its time. */
  readonly eta: number | null;
  readonly createdAt: number;
  /** Before it nobody may claim the row. */
  dueAt: number;
  /** Somebody has it, or had it: its writer, or a relay. */
  wasTaken: boolean;
}

interface UniqueRow extends UniqueClaim {
  readonly taskId: string;
  expiresAt: number;
}

/** What a message that was taken out tells of its task. */
export type RevokedCall = Pick<RecordWrite, 'task' | 'queue' | 'attempt' | 'retries'>;

/** What the outboxes of one URL share. */
export interface OutboxStore {
  readonly rows: Map<string, OutboxRow>;
  readonly uniqueKeys: Map<string, UniqueRow>;
  readonly watchers: Set<() => void>;
}

export function newOutboxStore(): OutboxStore {
  return { rows: new Map(), uniqueKeys: new Map(), watchers: new Set() };
}

/** What the outbox needs of the records beside it. Each call is part of one commit, as nothing here awaits. */
export interface OutboxRecords {
  get(id: string): TaskRecord | undefined;
  /** Writes what can be stored, guarded; true: it applied. */
  write(record: RecordWrite): boolean;
  /** Takes a final record back. */
  reopen(record: RecordWrite): void;
  /** A final record is there: tells who waits. */
  ended(id: string): void;
}

/** How soon a row is due for those who watch to be told of it; they poll as often. */
const SOON_MS = 1_000;
const DEFAULT_LIMIT = 100;

/** The outbox of the in-memory result backend. Gone with the process. */
export class MemoryOutbox implements Outbox {
  readonly #store: OutboxStore;
  readonly #records: OutboxRecords;
  readonly #runtime: Runtime;

  constructor(store: OutboxStore, records: OutboxRecords, runtime: Runtime) {
    this.#store = store;
    this.#records = records;
    this.#runtime = runtime;
  }

  async enqueue(
    calls: readonly OutboxCall[],
    { tx = null }: { readonly tx?: TransactionClient | null } = {},
  ): Promise<readonly EnqueueResult[]> {
    if (tx !== null) {
      throw new LovageError(
        'LOVAGE_DRIVER',
        'with({ tx }) needs results in PostgreSQL: those in memory are part of no transaction',
      );
    }
    for (const call of calls) assertStorable(call);
    return calls.map((call) => this.#enqueue(call));
  }

  async requeue(call: OutboxCall): Promise<boolean> {
    const { record } = call;
    assertStorable(call);
    if (record === null) return false;
    const stored = this.#records.get(record.id);
    if (stored?.state !== 'FAILURE' || stored.attempt !== record.attempt - 1) return false;
    this.#records.reopen(record);
    this.#insert(call);
    return true;
  }

  async claim(limit: number): Promise<OutboxClaim> {
    const now = this.#runtime.now();
    const rows = [...this.#store.rows.values()].sort((a, b) => a.dueAt - b.dueAt);
    const due = rows.filter(({ dueAt }) => dueAt <= now).slice(0, limit);
    const next = rows.find(({ dueAt }) => dueAt > now);
    const nextDueMs = next === undefined ? null : next.dueAt - now;
    for (const row of due) Object.assign(row, { dueAt: now + OUTBOX_LEASE_MS, wasTaken: true });
    return {
      messages: due.map(({ message }) => message),
      nextDueMs,
      now,
    };
  }

  async park(row: OutboxMessage): Promise<void> {
    const refused = notStorable(null, [row]);
    if (refused !== null) throw refused;
    const now = this.#runtime.now();
    const dueAt = this.#dueAt(row.due) ?? now + OUTBOX_LEASE_MS;
    const parked = this.#store.rows.get(row.rowId) ?? {
      message: row,
      eta: null,
      createdAt: now,
      dueAt,
      wasTaken: true,
    };
    parked.dueAt = dueAt;
    this.#store.rows.set(row.rowId, parked);
  }

  async renew(rowIds: readonly string[], inMs: number): Promise<readonly string[]> {
    const kept = rowIds.filter((rowId) => this.#store.rows.has(rowId));
    for (const rowId of kept) (this.#store.rows.get(rowId) as OutboxRow).dueAt = this.#runtime.now() + inMs;
    if (kept.length > 0 && inMs < SOON_MS) this.#tellWatchers();
    return kept;
  }

  async remove(rowIds: readonly string[]): Promise<void> {
    for (const rowId of rowIds) this.#store.rows.delete(rowId);
  }

  async release(holds: readonly UniqueHold[]): Promise<void> {
    for (const { key, taskId } of holds) {
      if (this.#store.uniqueKeys.get(key)?.taskId === taskId) this.#store.uniqueKeys.delete(key);
    }
  }

  watch(onWake: () => void): OutboxWatch {
    // Wrapped, so that two watches of one function are two.
    const watcher = (): void => onWake();
    this.#store.watchers.add(watcher);
    return {
      stop: async () => {
        this.#store.watchers.delete(watcher);
      },
    };
  }

  async scheduled({ ids, task, queue, limit = DEFAULT_LIMIT }: ScheduledFilter): Promise<readonly ScheduledTask[]> {
    return [...this.#store.rows.values()]
      .flatMap((row) => (row.eta === null ? [] : [{ ...row, eta: row.eta }]))
      .filter(({ message }) => ids === undefined || ids.includes(message.taskId))
      .filter(({ message }) => task === undefined || message.task === task)
      .filter(({ message }) => queue === undefined || message.message.queue === queue)
      .sort((a, b) => a.eta - b.eta)
      .slice(0, limit)
      .map(({ message: row, eta, createdAt }) => ({
        id: row.taskId,
        task: row.task,
        queue: row.message.queue,
        eta: new Date(eta),
        retries: retriesOf(row),
        argsText: textOf(row.message.headers['argsrepr']),
        createdAt: new Date(createdAt),
      }));
  }

  async cancel(taskIds: readonly string[]): Promise<readonly string[]> {
    const rows = [...this.#store.rows.values()].filter(
      ({ eta, wasTaken, message }) => eta !== null && !wasTaken && taskIds.includes(message.taskId),
    );
    // Of a task that has several the record takes one.
    return rows.filter(({ message }) => this.#cancel(message)).map(({ message }) => message.taskId);
  }

  /** The part of a commit that is not its record: what an applied completion causes. */
  caused({ record, followUps, uniqueKey }: Completion): void {
    for (const message of followUps) this.#insert(message);
    if (uniqueKey !== null && isFinalState(record.state)) this.#endUnique(uniqueKey, record.id);
  }

  /** Takes out the messages of a task that nobody has been given; what the last of them tells of the task. null: there was none. */
  withdraw(taskId: string): RevokedCall | null {
    const rows = [...this.#store.rows.values()].filter(
      ({ wasTaken, message }) => !wasTaken && message.taskId === taskId,
    );
    for (const { message } of rows) this.#store.rows.delete(message.rowId);
    const [last] = rows.map(({ message }) => message).sort((a, b) => attemptOf(b) - attemptOf(a));
    return last === undefined ? null : callOf(last);
  }

  /** What the end of a task does to the unique keys that it holds. */
  endUniqueOf(taskId: string): void {
    for (const row of [...this.#store.uniqueKeys.values()]) if (row.taskId === taskId) this.#endUnique(row.key, taskId);
  }

  /** Forgets the keys whose time has run out. */
  sweep(): void {
    for (const [key, { expiresAt }] of this.#store.uniqueKeys) {
      if (expiresAt <= this.#runtime.now()) this.#store.uniqueKeys.delete(key);
    }
  }

  #enqueue(call: OutboxCall): EnqueueResult {
    const { record, unique, taskId } = call;
    const now = this.#runtime.now();
    const holder = unique === null ? undefined : this.#store.uniqueKeys.get(unique.key);
    if (holder !== undefined && holder.expiresAt > now) return { taskId: holder.taskId, written: false };
    if (record !== null && !this.#create(record)) return { taskId, written: false };
    if (unique !== null) {
      const expiresAt = Math.max(this.#dueAt(call.due) ?? now, now) + unique.ttlMs;
      this.#store.uniqueKeys.set(unique.key, { ...unique, taskId, expiresAt });
    }
    this.#insert(call);
    return { taskId, written: true };
  }

  #create(record: RecordWrite): boolean {
    return this.#records.get(record.id) === undefined && this.#records.write(record);
  }

  #insert({ rowId, taskId, task, message, due }: OutboxMessage): void {
    const now = this.#runtime.now();
    const dueAt = this.#dueAt(due);
    this.#store.rows.set(rowId, {
      message: { rowId, taskId, task, message, due },
      eta: due !== null && 'inMs' in due && due.inMs <= 0 ? null : dueAt,
      dueAt: dueAt ?? now + OUTBOX_LEASE_MS,
      wasTaken: dueAt === null,
      createdAt: now,
    });
    if (dueAt !== null && dueAt < now + SOON_MS) this.#tellWatchers();
  }

  #tellWatchers(): void {
    for (const wake of [...this.#store.watchers]) wake();
  }

  #dueAt(due: DueTime | null): number | null {
    if (due === null) return null;
    return 'at' in due ? due.at.getTime() : this.#runtime.now() + due.inMs;
  }

  #cancel(row: OutboxMessage): boolean {
    const { rowId, taskId, message } = row;
    this.#store.rows.delete(rowId);
    const stored = this.#records.get(taskId);
    if (!this.#records.write({ ...revokedWrite(taskId, stored, 'cancelled'), ...callOf(row) })) return false;
    const unique = parseUniqueHeader(message.headers['unique']);
    if (unique !== null) this.#endUnique(unique.key, taskId);
    this.#records.ended(taskId);
    return true;
  }

  #endUnique(key: string, taskId: string): void {
    const row = this.#store.uniqueKeys.get(key);
    if (row?.taskId !== taskId) return;
    if (row.scope === 'finished') row.expiresAt = this.#runtime.now() + row.ttlMs;
    else this.#store.uniqueKeys.delete(key);
  }
}

/** The end of a task that is revoked, by what is stored of it. Without a record its own id is all that is known. */
export function revokedWrite(id: string, stored: TaskRecord | undefined, reason: string): RecordWrite {
  return {
    id,
    task: stored?.task ?? '',
    state: 'REVOKED',
    attempt: stored?.attempt ?? 0,
    argsJson: stored === undefined ? null : JSON.stringify(stored.args),
    kwargsJson: stored === undefined ? null : JSON.stringify(stored.kwargs),
    resultJson: null,
    error: { type: 'TaskRevokedError', message: reason, stack: null, code: 'LOVAGE_TASK_REVOKED' },
    progressJson: null,
    retries: stored?.retries ?? 0,
    queue: stored?.queue ?? '',
    worker: null,
    parentId: stored?.parentId ?? null,
    rootId: stored?.rootId ?? id,
    groupId: stored?.groupId ?? null,
    runtimeMs: null,
    due: null,
  };
}

function callOf(row: OutboxMessage): RevokedCall {
  const { task, message } = row;
  return { task, queue: message.queue, attempt: attemptOf(row), retries: retriesOf(row) };
}

function assertStorable(call: OutboxCall): void {
  const refused = notStorable(call.record, [call]);
  if (refused !== null) throw refused;
}

function retriesOf({ message }: OutboxMessage): number {
  return Number(message.headers['retries'] ?? 0);
}

function attemptOf(row: OutboxMessage): number {
  return Number(row.message.headers['attempt'] ?? retriesOf(row));
}

function textOf(value: HeaderValue | undefined): string {
  return typeof value === 'string' ? value : '';
}
