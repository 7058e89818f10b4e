import { setTimeout as delay } from 'node:timers/promises';
import {
  type ConnectionTarget,
  type DriverContext,
  LovageError,
  type ResultsSettings,
  type StartOptions,
  backoffDelay,
  isLovageError,
  maskUrl,
} from '@lovage/core';
import { type Client, Pool, type PoolClient, type QueryConfig } from 'pg';
import { clientWith } from './client-with.js';
import { connectionConfig } from './connection-config.js';
import { type DatabaseFailure, UNAVAILABLE, databaseError, failureOf } from './database-error.js';
import { type PgPool, asPgPool } from './pg-pool.js';
import { type Statement, statement } from './statement.js';

/** One row as the server's text, null for NULL: the type parsers that a user may have changed in pg play no part. */
export type Row = Readonly<Record<string, string | null>>;

/** Runs one statement. */
export type Run = (statement: Statement, values: readonly unknown[]) => Promise<readonly Row[]>;

export interface DatabaseSettings extends Pick<
  ResultsSettings,
  'url' | 'pool' | 'prepare' | 'poolSize' | 'connectTimeoutMs' | 'credentials' | 'tls'
> {
  /** What the database is to the app: its name in events and errors. */
  readonly target: ConnectionTarget;
  /** A connection that takes a statement and does not answer counts as lost after this. Default 30 s. */
  readonly queryTimeoutMs?: number;
}

const QUERY_TIMEOUT_MS = 30_000;
/** Ends in the server what is given up here, and sooner what waits for somebody else's transaction. */
const SESSION: QueryConfig & { readonly query_timeout: number } = {
  text: "SET statement_timeout = '29s'; SET lock_timeout = '2s'",
  query_timeout: 5_000,
};
/** Of a transaction of several statements, which may well wait for another's: for a unique key. */
const LOCK_TIMEOUT_MS = 20_000;
const STOP_GRACE_MS = 2_000;
const CONFLICT_ATTEMPTS = 5;
/** What leaves the connection as it was. */
const HARMLESS: ReadonlySet<DatabaseFailure> = new Set(['row', 'conflict', 'locked']);
const COMMIT = statement('COMMIT');
const ROLLBACK = statement('ROLLBACK');
const FIRST_CONNECTION = { minMs: 250, maxMs: 5_000 };

const RAW = { getTypeParser: () => (text: unknown) => text } as unknown as NonNullable<QueryConfig['types']>;

/**
 * The connections to one database: a pool of our own, made at first use and ended by `stop`, or the user's, never ended.
 * All errors are coded. A connection that failed is never used again, and no connection's death reaches the process.
 */
export class Database {
  /** For messages: without its password. */
  readonly url: string;
  readonly #settings: DatabaseSettings;
  readonly #context: DriverContext;
  readonly #inFlight = new Set<Promise<unknown>>();
  readonly #lent = new Set<PoolClient>();
  readonly #onPoolError = (error: Error): void => this.#lost(error);
  #pool: PgPool | null = null;
  #state: 'new' | 'open' | 'lost' | 'stopped' = 'new';
  #stopping = new AbortController();

  constructor(settings: DatabaseSettings, context: DriverContext) {
    this.#settings = settings;
    this.#context = context;
    if (settings.pool !== null) asPgPool(settings.pool);
    this.url = settings.pool === null ? maskUrl(settings.url) : 'the pg.Pool handed in';
  }

  /** Tries `probe` until it resolves, the time is over, or it fails in a way that time does not mend. */
  async start({ retryForMs }: StartOptions, probe: () => Promise<void>): Promise<void> {
    if (this.#state === 'stopped') this.#state = 'new';
    if (this.#stopping.signal.aborted) this.#stopping = new AbortController();
    const { signal } = this.#stopping;
    const { target } = this.#settings;
    const { events, runtime } = this.#context;
    const deadline = runtime.monotonic() + retryForMs;
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#unlessStopped(probe(), signal);
      } catch (error) {
        const left = deadline - runtime.monotonic();
        if (!isLovageError(error, UNAVAILABLE[target]) || left <= 0 || signal.aborted) throw error;
        const delayMs = Math.min(left, backoffDelay(attempt, FIRST_CONNECTION, runtime));
        events.emit('connection:retry', { target, url: this.url, attempt, delayMs, error: reasonOf(error) });
        await delay(delayMs, undefined, { signal }).catch(() => {
          throw this.#stoppedError();
        });
      }
    }
  }

  /**
   * Idempotent. What is under way has two seconds to end by itself, then its connections are ended; a first connection, which a silent
   * server may keep open until it times out, has none.
   */
  async stop(): Promise<void> {
    const graceMs = this.#state === 'new' ? 0 : STOP_GRACE_MS;
    this.#state = 'stopped';
    this.#stopping.abort();
    const pool = this.#pool;
    this.#pool = null;
    await within(graceMs, Promise.allSettled(this.#inFlight));
    for (const client of this.#lent) endNow(client);
    pool?.off?.('error', this.#onPoolError);
    if (this.#settings.pool !== null) return;
    const ended = (pool as Pool | null)?.end() ?? Promise.resolve();
    await within(graceMs, ended);
  }

  async #unlessStopped<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
    let onStop = (): void => {};
    const stopped = new Promise<never>((_resolve, reject) => {
      onStop = () => reject(this.#stoppedError());
      signal.addEventListener('abort', onStop, { once: true });
    });
    try {
      return await Promise.race([work, stopped]);
    } finally {
      signal.removeEventListener('abort', onStop);
    }
  }

  /** Runs one statement, which is its own transaction; one that a conflict undid (deadlock) is run again. */
  run(statement: Statement, values: readonly unknown[]): Promise<readonly Row[]> {
    return this.use((client) => retried(() => this.#query(client, statement, values)));
  }

  /** Makes the statements of `work` one transaction, run again where a conflict undid it. Each may wait so long for a lock. */
  transaction<T>(work: (run: Run) => Promise<T>, lockTimeoutMs = LOCK_TIMEOUT_MS): Promise<T> {
    // Whatever the database's default, each statement is to see what was committed before it.
    const begin = statement(`BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = ${lockTimeoutMs}`);
    return this.use((client) =>
      retried(async () => {
        await this.#query(client, begin, []);
        try {
          const result = await work((statement, values) => this.#query(client, statement, values));
          await this.#query(client, COMMIT, []);
          return result;
        } catch (error) {
          // One that is lost is closed, which undoes what it did.
          if (isLovageError(error) || failureOf(error) !== 'lost') await this.#query(client, ROLLBACK, []);
          throw error;
        }
      }),
    );
  }

  async #query(client: PoolClient, { name, text }: Statement, values: readonly unknown[]): Promise<readonly Row[]> {
    const query = {
      ...(name !== null && this.#settings.prepare && { name }),
      text,
      values: [...values],
      types: RAW,
      query_timeout: this.#settings.queryTimeoutMs ?? QUERY_TIMEOUT_MS,
    };
    return (await client.query<Row>(query)).rows;
  }

  /** Lends out one connection for as long as `work` takes. */
  use<T>(work: (client: PoolClient) => Promise<T>): Promise<T> {
    const using = this.#use(work);
    this.#inFlight.add(using);
    const done = (): void => void this.#inFlight.delete(using);
    using.then(done, done);
    return using;
  }

  async #use<T>(work: (client: PoolClient) => Promise<T>): Promise<T> {
    if (this.#state === 'stopped') throw this.#stoppedError();
    let client: PoolClient | undefined;
    let broken = true;
    // A lent connection that dies emits 'error' as well as failing its query; unheard, that would end the process. Between two queries it alone says why.
    let death: Error | null = null;
    const died = (error: Error): void => void (death ??= error);
    try {
      client = await this.#openPool().connect();
      client.on('error', died);
      this.#lent.add(client);
      const result = await work(client);
      broken = false;
      this.#opened();
      return result;
    } catch (thrown) {
      const error: unknown = isLovageError(thrown) ? thrown : (death ?? thrown);
      const failure = isLovageError(error) ? null : failureOf(error);
      broken = failure !== null && !HARMLESS.has(failure);
      if (failure === 'lost') this.#lost(error as Error);
      throw databaseError(error, this.url, this.#settings.target);
    } finally {
      if (client !== undefined) this.#lent.delete(client);
      client?.off('error', died);
      client?.release(broken);
    }
  }

  #openPool(): PgPool {
    if (this.#pool !== null) return this.#pool;
    this.#pool = this.#settings.pool === null ? this.#ownPool() : asPgPool(this.#settings.pool);
    this.#pool.on?.('error', this.#onPoolError);
    return this.#pool;
  }

  #ownPool(): Pool {
    const { url, tls, connectTimeoutMs, poolSize, prepare, credentials, target } = this.#settings;
    const config = { applicationName: `lovage ${this.#context.name}`, connectTimeoutMs, tls, target };
    return new Pool({
      Client: clientWith(credentials, { target, timeoutMs: connectTimeoutMs }),
      ...connectionConfig(url, config),
      max: poolSize,
      // Not behind a pooler, where a session's settings are anybody's.
      // eslint-disable-next-line @typescript-eslint/no-misused-promises -- pg-pool awaits it, which its types do not say
      ...(prepare && { onConnect: async (client) => void (await client.query(SESSION)) }),
    });
  }

  #opened(): void {
    if (this.#state !== 'new' && this.#state !== 'lost') return;
    this.#state = 'open';
    this.#context.events.emit('connection:open', { target: this.#settings.target, url: this.url });
  }

  #lost(error: Error): void {
    if (this.#state !== 'open') return;
    this.#state = 'lost';
    this.#context.events.emit('connection:lost', {
      target: this.#settings.target,
      url: this.url,
      error: databaseError(error, this.url, this.#settings.target),
    });
  }

  #stoppedError(): LovageError {
    const what = this.#settings.target === 'broker' ? 'transport' : 'result backend';
    return new LovageError('LOVAGE_STOPPED', `the ${what} has been stopped`);
  }
}

/** Runs it again for as long as other transactions are in its way. */
async function retried<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      if (attempt === CONFLICT_ATTEMPTS || isLovageError(error) || failureOf(error) !== 'conflict') throw error;
    }
  }
}

/** Ends a connection that does not answer; what waits on it fails. */
function endNow(client: PoolClient): void {
  (client as unknown as Client).end().catch(() => undefined);
}

/** Resolves when the work is done, or the time is over. */
async function within(ms: number, work: Promise<unknown>): Promise<void> {
  const timeout = new AbortController();
  const late = delay(ms, undefined, { signal: timeout.signal }).catch(() => undefined);
  await Promise.race([work, late]);
  timeout.abort();
}

/** Without the URL, which the event has already. */
function reasonOf(error: Error): Error {
  return error.cause instanceof Error ? error.cause : error;
}
