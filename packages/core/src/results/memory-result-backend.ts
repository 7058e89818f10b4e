import { LovageError } from '../errors/lovage-error.js';
import { MemoryOutbox, newOutboxStore, type OutboxRecords, type OutboxStore } from '../outbox/memory-outbox.js';
import { type Runtime, systemRuntime } from '../runtime/runtime.js';
import { isFinalState } from '../state/task-state.js';
import { MemoryRevocations, newRevocationsStore, type RevocationsStore } from '../revocations/memory-revocations.js';
import { MemoryStarts, type StartsStore } from './memory-starts.js';
import { notStorable } from './not-storable.js';
import { completes, mayFollow } from './record-guard.js';
import type {
  CommitResult,
  Completion,
  ResultBackend,
  ResultBackendCapabilities,
  TaskFilter,
} from './result-backend.js';
import type { RecordState, RecordWrite, TaskRecord } from './task-record.js';

interface Waiter {
  readonly resolve: (record: TaskRecord) => void;
  readonly reject: (reason: unknown) => void;
}

/** What the backends of one URL share. */
interface Store {
  readonly records: Map<string, TaskRecord>;
  readonly waiters: Map<string, Set<Waiter>>;
  readonly outbox: OutboxStore;
  readonly revocations: RevocationsStore;
  readonly starts: StartsStore;
}

const stores = new Map<string, Store>();

function storeOf(url: string | undefined): Store {
  const store = (url === undefined ? undefined : stores.get(url)) ?? {
    records: new Map(),
    waiters: new Map(),
    outbox: newOutboxStore(),
    revocations: newRevocationsStore(),
    starts: new Map(),
  };
  if (url !== undefined) stores.set(url, store);
  return store;
}

/** The result backend of `memory:` URLs, which share their records in one process, and of inline tests. Gone with the process. Keeps the promises of the interface. */
export class MemoryResultBackend implements ResultBackend {
  readonly capabilities: ResultBackendCapabilities;
  /** Waiters live in this process: nothing has to travel. */
  readonly replyChannel = null;
  readonly #records: Store['records'];
  readonly #waiters: Store['waiters'];
  readonly #outbox: MemoryOutbox;
  readonly #starts: MemoryStarts;
  /** Those of `#waiters` that wait through this backend. */
  readonly #own = new Set<Waiter>();
  readonly #expiresMs: number;
  readonly #runtime: Runtime;
  #stopped = false;

  /** @param options.url backends of one URL share their records; without one this has its own. */
  constructor(options: { readonly url?: string; readonly expiresMs: number; readonly runtime?: Runtime }) {
    const store = storeOf(options.url);
    ({ records: this.#records, waiters: this.#waiters } = store);
    this.#expiresMs = options.expiresMs;
    this.#runtime = options.runtime ?? systemRuntime;
    const records: OutboxRecords = {
      get: (id) => this.#records.get(id),
      write: (record) => this.#write(record),
      reopen: (record) => this.#reopen(record),
      ended: (id) => this.#wake(id),
    };
    this.#outbox = new MemoryOutbox(store.outbox, records, this.#runtime);
    const { revocations } = store;
    this.#starts = new MemoryStarts(store.starts, this.#runtime);
    this.capabilities = {
      outbox: this.#outbox,
      starts: this.#starts,
      revocations: new MemoryRevocations({
        store: revocations,
        records,
        outbox: this.#outbox,
        runtime: this.#runtime,
      }),
    };
  }

  async start(): Promise<void> {
    this.#stopped = false;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const waiter of [...this.#own]) waiter.reject(stopped());
  }

  async commit(completions: readonly Completion[]): Promise<readonly CommitResult[]> {
    return completions.map((completion) => this.#commit(completion));
  }

  async states(ids: readonly string[]): Promise<ReadonlyMap<string, RecordState>> {
    const found = ids.flatMap((id) => this.#records.get(id) ?? []);
    return new Map(found.map(({ id, state, attempt }) => [id, { state, attempt }]));
  }

  async find(filter: TaskFilter): Promise<readonly TaskRecord[]> {
    const limit = filter.limit ?? (filter.ids === undefined ? 100 : Infinity);
    const candidates =
      filter.ids === undefined
        ? [...this.#records.values()]
        : [...new Set(filter.ids)].flatMap((id) => this.#records.get(id) ?? []);
    return candidates
      .filter((record) => filter.state === undefined || record.state === filter.state)
      .filter((record) => filter.task === undefined || record.task === filter.task)
      .filter((record) => filter.since === undefined || record.createdAt >= filter.since)
      .sort((a, b) => b.createdAt.getTime() - a.createdAt.getTime() || (a.id < b.id ? 1 : -1))
      .slice(0, limit)
      .map((record) => structuredClone(record));
  }

  waitFor(id: string, signal: AbortSignal): Promise<TaskRecord> {
    return new Promise((resolve, reject) => {
      if (this.#stopped) return reject(stopped());
      if (signal.aborted) return reject(signal.reason as Error);
      const record = this.#records.get(id);
      if (record !== undefined && isFinalState(record.state)) return resolve(structuredClone(record));
      const waiters = this.#waiters.get(id) ?? new Set();
      this.#waiters.set(id, waiters);
      const settle =
        <T>(then: (value: T) => void) =>
        (value: T): void => {
          signal.removeEventListener('abort', onAbort);
          waiters.delete(waiter);
          this.#own.delete(waiter);
          if (waiters.size === 0) this.#waiters.delete(id);
          then(value);
        };
      const waiter: Waiter = { resolve: settle(resolve), reject: settle(reject) };
      const onAbort = (): void => waiter.reject(signal.reason);
      signal.addEventListener('abort', onAbort, { once: true });
      waiters.add(waiter);
      this.#own.add(waiter);
    });
  }

  async forget(ids: readonly string[]): Promise<number> {
    return ids.filter((id) => this.#records.delete(id)).length;
  }

  async expire(limit: number): Promise<number> {
    this.#outbox.sweep();
    const before = this.#runtime.now() - this.#expiresMs;
    this.#starts.sweep(before);
    const old = [...this.#records.values()].filter(
      ({ finishedAt }) => finishedAt !== null && finishedAt.getTime() < before,
    );
    return this.forget(old.slice(0, limit).map(({ id }) => id));
  }

  #commit(completion: Completion): CommitResult {
    const { record, followUps } = completion;
    const refused = notStorable(record, followUps);
    if (refused !== null) return refused;
    if (completion.parkedRow !== null) void this.#outbox.remove([completion.parkedRow]);
    if (!this.#write(record)) return 'superseded';
    this.#outbox.caused(completion);
    if (isFinalState(record.state)) this.#wake(record.id);
    return 'applied';
  }

  #write(write: RecordWrite): boolean {
    const stored = this.#records.get(write.id);
    if (stored !== undefined && completes(stored, write)) {
      const { error, finishedAt } = stored;
      this.#records.set(write.id, { ...this.#recordOf(write, stored), error, finishedAt });
      return true;
    }
    if (stored !== undefined && !mayFollow(stored, write)) return false;
    this.#records.set(write.id, this.#recordOf(write, stored));
    return true;
  }

  #recordOf(write: RecordWrite, stored: TaskRecord | undefined): TaskRecord {
    const now = this.#runtime.now();
    const { argsJson, kwargsJson, resultJson, progressJson, runtimeMs, due, ...plain } = write;
    return {
      ...plain,
      args: parsed(argsJson) as TaskRecord['args'],
      kwargs: parsed(kwargsJson) as TaskRecord['kwargs'],
      result: parsed(resultJson),
      progress: parsed(progressJson),
      createdAt: stored?.createdAt ?? new Date(now),
      startedAt: runtimeMs === null ? (stored?.startedAt ?? null) : new Date(now - runtimeMs),
      finishedAt: isFinalState(write.state) ? new Date(now) : null,
      scheduledAt: due === null ? null : 'at' in due ? due.at : new Date(now + due.inMs),
      history: stored?.history ?? [],
    };
  }

  #reopen(write: RecordWrite): void {
    const ended = this.#records.get(write.id) as TaskRecord;
    const { state, attempt, retries, error, worker, finishedAt } = ended;
    const end = { state, attempt, retries, error, worker, finishedAt: finishedAt as Date };
    this.#records.set(write.id, {
      ...this.#recordOf(write, ended),
      startedAt: null,
      history: [...ended.history, end],
    });
  }

  #wake(id: string): void {
    const record = this.#records.get(id);
    if (record === undefined) return;
    for (const waiter of [...(this.#waiters.get(id) ?? [])]) waiter.resolve(structuredClone(record));
  }
}

function parsed(json: string | null): unknown {
  return json === null ? null : (JSON.parse(json) as unknown);
}

function stopped(): LovageError {
  return new LovageError('LOVAGE_STOPPED', 'the result backend has been stopped');
}
