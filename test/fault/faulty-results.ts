import {
  type CommitResult,
  type Completion,
  type EnqueueResult,
  type Outbox,
  type OutboxCall,
  type OutboxClaim,
  type OutboxMessage,
  type RecordState,
  type ResultBackend,
  type ResultBackendCapabilities,
  type ScheduledFilter,
  type StartOptions,
  type TaskFilter,
  type TaskRecord,
  type TransactionClient,
  type UniqueHold,
  isLovageError,
} from '@lovage/core';
import { type FaultyOptions, halfOf } from './faulty-transport.js';

/** A result backend whose process dies at a chosen step. */
export class FaultyResults implements ResultBackend {
  readonly capabilities: ResultBackendCapabilities;
  readonly #inner: ResultBackend;
  readonly #options: FaultyOptions;

  constructor(inner: ResultBackend, options: FaultyOptions) {
    this.#inner = inner;
    this.#options = options;
    const { outbox, ...others } = inner.capabilities;
    this.capabilities = { ...others, ...(outbox && { outbox: new FaultyOutbox(outbox, options) }) };
  }

  get replyChannel(): string | null {
    return this.#inner.replyChannel;
  }

  start(options: StartOptions): Promise<void> {
    return this.#inner.start(options);
  }

  stop(): Promise<void> {
    return this.#inner.stop();
  }

  async commit(completions: readonly Completion[]): Promise<readonly CommitResult[]> {
    const { fuse, witness, senders } = this.#options;
    const followUps = completions.flatMap((completion) => completion.followUps);
    senders.expect(
      followUps.map(({ message }) => message),
      'follow-up',
    );
    for (const { rowId, message } of followUps) witness.row(rowId, message);
    const commit = () => this.#inner.commit(completions);
    try {
      const results = await fuse.around(followUps.length > 0 ? 'commit-follow-up' : 'commit', commit);
      completions.forEach((completion, index) => {
        if (!isLovageError(results[index])) witness.committed(completion);
      });
      return results;
    } catch (error) {
      witness.resultsFailed();
      throw error;
    }
  }

  async states(ids: readonly string[]): Promise<ReadonlyMap<string, RecordState>> {
    const { fuse, witness } = this.#options;
    const states = await fuse.around('look-up', () => this.#inner.states(ids));
    for (const [id, state] of states) witness.lookedUp(id, state);
    return states;
  }

  find(filter: TaskFilter): Promise<readonly TaskRecord[]> {
    return this.#inner.find(filter);
  }

  waitFor(id: string, signal: AbortSignal): Promise<TaskRecord> {
    return this.#inner.waitFor(id, signal);
  }

  forget(ids: readonly string[]): Promise<number> {
    return this.#inner.forget(ids);
  }

  expire(limit: number): Promise<number> {
    return this.#inner.expire(limit);
  }
}

class FaultyOutbox implements Outbox {
  readonly tableId?: () => Promise<string>;
  readonly #inner: Outbox;
  readonly #options: FaultyOptions;
  /** Who holds a row decides which step its removal is. */
  readonly #claimed = new Set<string>();
  readonly #enqueued = new Set<string>();

  constructor(inner: Outbox, options: FaultyOptions) {
    this.#inner = inner;
    this.#options = options;
    if (inner.tableId !== undefined) this.tableId = inner.tableId.bind(inner);
  }

  async enqueue(
    calls: readonly OutboxCall[],
    options?: { readonly tx?: TransactionClient | null },
  ): Promise<readonly EnqueueResult[]> {
    const { fuse, witness, senders } = this.#options;
    senders.expect(
      calls.map(({ message }) => message),
      'call',
    );
    for (const { rowId, message } of calls) {
      this.#enqueued.add(rowId);
      witness.row(rowId, message);
    }
    return await fuse.around('enqueue', () => this.#inner.enqueue(calls, options));
  }

  requeue(call: OutboxCall): Promise<boolean> {
    return this.#inner.requeue(call);
  }

  async claim(limit: number): Promise<OutboxClaim> {
    const { fuse, witness, senders } = this.#options;
    const claim = await fuse.around('claim', () => this.#inner.claim(limit), {
      counts: ({ messages }) => messages.length > 0,
    });
    senders.expect(
      claim.messages.map(({ message }) => message),
      'relayed',
    );
    for (const { rowId, message } of claim.messages) {
      this.#claimed.add(rowId);
      witness.row(rowId, message);
    }
    return claim;
  }

  park(row: OutboxMessage): Promise<void> {
    return this.#inner.park(row);
  }

  renew(rowIds: readonly string[], inMs: number): Promise<readonly string[]> {
    return this.#inner.renew(rowIds, inMs);
  }

  async remove(rowIds: readonly string[]): Promise<void> {
    const { fuse, witness } = this.#options;
    witness.removed(rowIds);
    const [first = ''] = rowIds;
    const sender = this.#claimed.has(first) ? 'relayed' : this.#enqueued.has(first) ? 'call' : 'follow-up';
    const remove = () => this.#inner.remove(rowIds);
    await fuse.around(`remove-${sender}`, remove, { half: () => this.#inner.remove(halfOf(rowIds)) });
  }

  release(holds: readonly UniqueHold[]): Promise<void> {
    return this.#options.fuse.around('release', () => this.#inner.release(holds));
  }

  watch(onWake: () => void): ReturnType<Outbox['watch']> {
    return this.#inner.watch(onWake);
  }

  scheduled(filter: ScheduledFilter): ReturnType<Outbox['scheduled']> {
    return this.#inner.scheduled(filter);
  }

  cancel(taskIds: readonly string[]): Promise<readonly string[]> {
    return this.#inner.cancel(taskIds);
  }
}
