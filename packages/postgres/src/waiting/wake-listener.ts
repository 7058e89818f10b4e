import { setTimeout as delay } from 'node:timers/promises';
import { type ConnectionTarget, type DriverContext, backoffDelay } from '@lovage/core';
import { type Client, escapeIdentifier } from 'pg';
import { databaseError } from '../database/database-error.js';
import { replyChannelOf } from './reply-channel.js';

export interface WakeListenerOptions {
  readonly context: DriverContext;
  /** Whose news they are: names them in warnings, and in the key that mends it. */
  readonly target: ConnectionTarget;
  /** Shown in messages; masked. */
  readonly url: string;
  /** A client of the server that LISTENs, not connected. Called for each connection. */
  readonly client: () => Client;
  /** Sends a notification the way a worker does. */
  readonly notify: (channel: string) => Promise<void>;
}

/** Who is told of what comes through a channel. */
export interface Follower {
  readonly channel: string;
  readonly onNotify: (payload: string) => void;
  /** Listening has begun, or begun again: notifications may have been missed. */
  readonly onListening: () => void;
}

/** How long the server may take to deliver a notification of our own. Behind a pooler in transaction mode it never comes. */
const PROOF_TIMEOUT_MS = 5_000;
const RECONNECT = { minMs: 100, maxMs: 10_000 };

/**
 * One connection that LISTENs on every channel that is followed, kept up by itself from the first on. It counts as listening only once a
 * notification has come through; where none does, it says once that there is only polling, and gives up. While the connection is lost
 * whoever follows polls too.
 */
export class WakeListener {
  readonly #options: WakeListenerOptions;
  readonly #proofChannel: string;
  readonly #followers = new Set<Follower>();
  readonly #stopping = new AbortController();
  #running: Promise<void> | null = null;
  #connection: ListenConnection | null = null;
  #works = false;
  #warned = false;

  constructor(options: WakeListenerOptions) {
    this.#options = options;
    this.#proofChannel = replyChannelOf(options.context.runtime.uuid());
  }

  /** Listening has proved to work. */
  get works(): boolean {
    return this.#works;
  }

  get #what(): string {
    return this.#options.target === 'broker' ? 'queues' : 'results and the outbox';
  }

  /** Begins in the background; what is returned ends it. */
  follow(follower: Follower): () => void {
    this.#followers.add(follower);
    this.#running ??= this.#run();
    if (this.#connection !== null) void this.#listen(this.#connection, [follower]);
    return () => {
      if (!this.#followers.delete(follower)) return;
      if ([...this.#followers].every(({ channel }) => channel !== follower.channel))
        this.#connection?.unlisten(follower.channel);
    };
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    const { runtime } = this.#options.context;
    for (let failures = 0; !signal.aborted;) {
      const connection = new ListenConnection(this.#options.client, (channel, payload) => {
        for (const follower of [...this.#followers]) if (follower.channel === channel) follower.onNotify(payload);
      });
      const end = (): void => connection.end();
      signal.addEventListener('abort', end, { once: true });
      try {
        await Promise.race([connection.open(this.#proofChannel), connection.lost]);
        if (!(await this.#prove(connection))) {
          this.#works = false;
          this.#warn(
            `LISTEN does not work here (a pooler?), so ${this.#what} are polled; set ${this.#options.target}.listenUrl to the server itself`,
          );
          return;
        }
        failures = 0;
        this.#warned = false;
        this.#connection = connection;
        await this.#listen(connection, [...this.#followers]);
        await connection.lost;
      } catch (error) {
        if (signal.aborted) return;
        const coded = databaseError(error, this.#options.url, this.#options.target);
        if (coded.code === 'LOVAGE_CONFIG') {
          this.#works = false;
          this.#warn(`nothing can listen at ${this.#options.target}.listenUrl, so ${this.#what} are polled`, coded);
          return;
        }
        this.#warn(`the connection that listens for ${this.#what} is lost: polling until it is back`, coded);
        failures += 1;
        await delay(backoffDelay(failures, RECONNECT, runtime), undefined, { signal }).catch(() => undefined);
      } finally {
        this.#connection = null;
        signal.removeEventListener('abort', end);
        connection.end();
      }
    }
  }

  /** Never rejects: a connection that fails is replaced. */
  async #listen(connection: ListenConnection, followers: readonly Follower[]): Promise<void> {
    const channels = new Set(followers.map(({ channel }) => channel));
    if (!(await connection.listen([...channels]))) return;
    this.#works = true;
    for (const follower of followers) if (this.#followers.has(follower)) follower.onListening();
  }

  async #prove(connection: ListenConnection): Promise<boolean> {
    const timeout = new AbortController();
    try {
      await Promise.race([this.#options.notify(this.#proofChannel), connection.lost]);
      const late = delay(PROOF_TIMEOUT_MS, false, { signal: timeout.signal });
      return await Promise.race([connection.heard, connection.lost, late]);
    } finally {
      timeout.abort();
    }
  }

  /** Once an outage. */
  #warn(message: string, error?: Error): void {
    if (this.#warned) return;
    this.#warned = true;
    this.#options.context.events.emit('warning', { message, ...(error && { error }) });
  }
}

/** One connection's life. */
class ListenConnection {
  /** Rejects when the connection ends, for whatever reason. */
  readonly lost: Promise<never>;
  /** Resolves with the first notification. */
  readonly heard: Promise<true>;
  readonly #make: () => Client;
  readonly #onNotify: (channel: string, payload: string) => void;
  #client: Client | null = null;
  #last: Promise<boolean> = Promise.resolve(true);
  #fail: (error: Error) => void = () => {};
  #hear: (heard: true) => void = () => {};

  constructor(make: () => Client, onNotify: (channel: string, payload: string) => void) {
    this.#make = make;
    this.#onNotify = onNotify;
    this.lost = new Promise((_resolve, reject) => (this.#fail = reject));
    this.lost.catch(() => undefined);
    this.heard = new Promise((resolve) => (this.#hear = resolve));
  }

  async open(channel: string): Promise<void> {
    const client = this.#make();
    this.#client = client;
    client.on('error', (error) => this.#fail(error));
    client.on('end', () => this.#fail(new Error('the connection ended')));
    client.on('notification', ({ channel: from, payload }) => {
      this.#hear(true);
      this.#onNotify(from, payload ?? '');
    });
    await client.connect();
    await client.query(`LISTEN ${escapeIdentifier(channel)}`);
  }

  /** False: the connection failed. */
  async listen(channels: readonly string[]): Promise<boolean> {
    return await this.#queue(channels.map((channel) => `LISTEN ${escapeIdentifier(channel)}`).join('; '));
  }

  unlisten(channel: string): void {
    void this.#queue(`UNLISTEN ${escapeIdentifier(channel)}`);
  }

  /** One after another, as pg wants it. Never rejects. */
  #queue(text: string): Promise<boolean> {
    this.#last = this.#last.then(async () => {
      try {
        await this.#client?.query(text);
        return true;
      } catch (error) {
        this.#fail(error as Error);
        return false;
      }
    });
    return this.#last;
  }

  end(): void {
    this.#fail(new Error('ended'));
    this.#client?.end().catch(() => undefined);
  }
}
