import {
  type CommitResult,
  type Completion,
  type DriverContext,
  LovageError,
  type ResultBackend,
  type ResultBackendCapabilities,
  type ResultsSettings,
  type StartOptions,
  type TaskFilter,
  type RecordState,
  type TaskRecord,
  isFinalState,
  isLovageError,
  maskUrl,
} from '@lovage/core';
import { clientWith } from './database/client-with.js';
import { connectionConfig } from './database/connection-config.js';
import { Database } from './database/database.js';
import type { Statement } from './database/statement.js';
import { outboxChannelOf } from './outbox/outbox-channel.js';
import { PostgresOutbox } from './outbox/postgres-outbox.js';
import { type OutboxStatements, outboxStatements } from './outbox/statements.js';
import { PostgresPartitions } from './partitions/postgres-partitions.js';
import { readTableId } from './schema/table-id.js';
import { RecordCommitter } from './records/record-committer.js';
import { recordOf, stateOf } from './records/record-row.js';
import { isStorableId } from './records/storable-id.js';
import { type RecordStatements, recordStatements } from './records/statements.js';
import { PostgresRevocations } from './revocations/postgres-revocations.js';
import { revocationsChannelOf } from './revocations/revocations-channel.js';
import { revocationStatements } from './revocations/statements.js';
import { PostgresSchemaManager } from './schema/postgres-schema-manager.js';
import { PostgresStarts } from './starts/postgres-starts.js';
import { type StartStatements, startStatements } from './starts/statements.js';
import { replyChannelOf, wokenIds } from './waiting/reply-channel.js';
import { ResultWaiters } from './waiting/result-waiters.js';
import { NOTIFY, WakeAnnouncer } from './waiting/wake-announcer.js';
import { type Follower, WakeListener } from './waiting/wake-listener.js';

const DEFAULT_LIMIT = 100;

/** Records in PostgreSQL. What it promises is in ResultBackend; how, in the modules it is made of. */
export class PostgresResultBackend implements ResultBackend {
  readonly capabilities: ResultBackendCapabilities;
  readonly #settings: ResultsSettings;
  readonly #context: DriverContext;
  readonly #database: Database;
  readonly #schema: PostgresSchemaManager;
  readonly #partitions: PostgresPartitions;
  readonly #statements: RecordStatements;
  readonly #outboxStatements: OutboxStatements;
  readonly #startStatements: StartStatements;
  readonly #committer: RecordCommitter;
  readonly #announcer: WakeAnnouncer;
  readonly #waiters: ResultWaiters;
  readonly #channel: string;
  readonly #revocationsChannel: string;
  #listener: WakeListener | null = null;
  /** Of this process, from the first wait on. */
  #replyChannel: string | null = null;
  #stopped = false;

  constructor(settings: ResultsSettings, context: DriverContext) {
    this.#settings = settings;
    this.#context = context;
    this.#database = new Database({ ...settings, target: 'results' }, context);
    this.#schema = new PostgresSchemaManager(this.#database, settings.schema);
    this.#partitions = new PostgresPartitions({
      database: this.#database,
      schema: settings.schema,
      expiresMs: settings.expiresMs,
    });
    this.#statements = recordStatements(settings.schema, settings);
    this.#outboxStatements = outboxStatements(settings.schema);
    this.#startStatements = startStatements(settings.schema);
    this.#committer = new RecordCommitter(this.#database, { ...this.#outboxStatements, ...this.#statements });
    this.#announcer = new WakeAnnouncer(this.#database, context.events);
    this.#channel = outboxChannelOf(settings.schema);
    const outbox = new PostgresOutbox({
      database: this.#database,
      statements: this.#outboxStatements,
      channel: this.#channel,
      tableId: () => readTableId(this.#database, settings.schema),
      runtime: context.runtime,
      watch: (onWake) => {
        const unwatch = this.#watch(this.#channel, onWake);
        return { stop: async () => unwatch() };
      },
      onEnded: (ends) => this.#announce(ends),
    });
    this.#revocationsChannel = revocationsChannelOf(settings.schema);
    const revocations = new PostgresRevocations({
      database: this.#database,
      statements: { ...this.#statements, ...revocationStatements(settings.schema) },
      channel: this.#revocationsChannel,
      watch: (onWake) => this.#watch(this.#revocationsChannel, onWake),
    });
    const starts = new PostgresStarts(this.#database, this.#startStatements);
    this.capabilities = { schema: this.#schema, outbox, revocations, starts, partitions: this.#partitions };
    this.#waiters = new ResultWaiters({
      read: async (ids) =>
        (await this.#database.run(this.#statements.findFinished, [ids.filter(isStorableId)])).map(recordOf),
      onReadError: (error) => this.#onReadError(error),
      runtime: context.runtime,
    });
  }

  get replyChannel(): string | null {
    return this.#listener?.works === true ? this.#replyChannel : null;
  }

  async start(options: StartOptions): Promise<void> {
    this.#stopped = false;
    await this.#database.start(options, () => this.#schema.verify());
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#waiters.stop(stoppedError());
    await this.#listener?.stop();
    this.#listener = null;
    this.#replyChannel = null;
    await this.#announcer.flush();
    await this.#database.stop();
  }

  async commit(completions: readonly Completion[]): Promise<readonly CommitResult[]> {
    const results = await this.#committer.commit(completions);
    // A superseded copy is announced too: the one that applied may have died before it could tell.
    completions.forEach(({ record, replyTo }, index) => {
      if (replyTo !== null && isFinalState(record.state) && !isLovageError(results[index]))
        this.#announcer.add(replyTo, record.id);
    });
    void this.#announcer.flush();
    return results;
  }

  async states(ids: readonly string[]): Promise<ReadonlyMap<string, RecordState>> {
    const rows = await this.#database.run(this.#statements.states, [ids.filter(isStorableId)]);
    return new Map(rows.map(stateOf));
  }

  async find({ ids, state, task, since, limit }: TaskFilter): Promise<readonly TaskRecord[]> {
    const values = [
      ids?.filter(isStorableId) ?? null,
      state ?? null,
      task ?? null,
      since?.getTime() ?? null,
      limit ?? (ids === undefined ? DEFAULT_LIMIT : null),
    ];
    return (await this.#database.run(this.#statements.find, values)).map(recordOf);
  }

  async waitFor(id: string, signal: AbortSignal): Promise<TaskRecord> {
    if (this.#stopped) throw stoppedError();
    this.#follow();
    return await this.#waiters.wait(id, signal);
  }

  async forget(ids: readonly string[]): Promise<number> {
    return (await this.#database.run(this.#statements.forget, [ids.filter(isStorableId)])).length;
  }

  async expire(limit: number): Promise<number> {
    await this.#database.run(this.#outboxStatements.sweepKeys, [limit]);
    await this.#database.run(this.#startStatements.sweep, [this.#settings.expiresMs, limit]);
    const sweeps = await this.#partitions.sweeps();
    let deleted = 0;
    const sweep = async (statement: Statement, ageMs: number): Promise<void> => {
      if (deleted < limit) deleted += (await this.#database.run(statement, [ageMs, limit - deleted])).length;
    };
    for (const { table, ageMs } of sweeps) await sweep(this.#statements.expire(table), ageMs);
    // What keeps a partition from being dropped.
    if (sweeps.length > 1) await sweep(this.#statements.expireWaiting, this.#settings.expiresMs);
    return deleted;
  }

  #announce(ends: readonly { readonly id: string; readonly replyTo: string | null }[]): void {
    for (const { id, replyTo } of ends) if (replyTo !== null) this.#announcer.add(replyTo, id);
    void this.#announcer.flush();
  }

  /** From the first wait on, this process is told of ends. */
  #follow(): void {
    if (this.#replyChannel !== null) return;
    const channel = replyChannelOf(this.#context.runtime.uuid());
    this.#replyChannel = channel;
    const unfollow = this.#listen({
      channel,
      onNotify: (payload) => this.#waiters.wake(wokenIds(payload)),
      onListening: () => this.#waiters.wakeAll(),
    });
    // Whoever revokes does not know who waits.
    this.#listen({
      channel: this.#revocationsChannel,
      onNotify: (payload) => this.#waiters.wake(wokenIds(payload)),
      onListening: () => undefined,
    });
    if (unfollow === null)
      this.#context.events.emit('warning', {
        message: 'waiting for results polls: set results.listenUrl beside the pg.Pool to be woken',
      });
  }

  #watch(channel: string, onWake: () => void): () => void {
    const unfollow = this.#stopped ? null : this.#listen({ channel, onNotify: onWake, onListening: onWake });
    return () => unfollow?.();
  }

  /** null: without a URL to listen at (a pool was handed in) there is nothing to listen with: a lent connection might be the pool's only one. */
  #listen(follower: Follower): (() => void) | null {
    const { url, listenUrl, connectTimeoutMs, credentials, tls } = this.#settings;
    const listenAt = listenUrl ?? url;
    if (listenAt === '') return null;
    const applicationName = `lovage ${this.#context.name} listen`;
    const ListenClient = clientWith(credentials, { target: 'results', timeoutMs: connectTimeoutMs });
    this.#listener ??= new WakeListener({
      context: this.#context,
      target: 'results',
      url: maskUrl(listenAt),
      client: () =>
        new ListenClient(connectionConfig(listenAt, { applicationName, connectTimeoutMs, tls, target: 'results' })),
      notify: async (channel) => void (await this.#database.run(NOTIFY, [[channel], ['[]']])),
    });
    return this.#listener.follow(follower);
  }

  /** Told by the connection's own events, unless it is something that time does not mend. */
  #onReadError(error: unknown): void {
    if (isLovageError(error, 'LOVAGE_RESULTS_UNAVAILABLE') || isLovageError(error, 'LOVAGE_STOPPED')) return;
    this.#context.events.emit('warning', {
      message: 'results that are waited for cannot be read',
      error: error as Error,
    });
  }
}

function stoppedError(): LovageError {
  return new LovageError('LOVAGE_STOPPED', 'the result backend has been stopped');
}
