import { setTimeout as delay } from 'node:timers/promises';
import { type DriverContext, backoffDelay } from '@lovage/core';
import { Client, type ClientConfig, escapeIdentifier } from 'pg';
import { databaseError } from '../database/database-error.js';
import { replyChannelOf, wokenIds } from './reply-channel.js';

export interface WakeListenerOptions {
  readonly context: DriverContext;
  /** Shown in messages; masked. */
  readonly url: string;
  /** How to reach the server that LISTENs. Called for each connection. */
  readonly config: () => ClientConfig;
  /** Sends a notification the way a worker does. */
  readonly notify: (channel: string) => Promise<void>;
  readonly onWake: (ids: readonly string[]) => void;
  /** Listening has begun, or begun again: wakes may have been missed. */
  readonly onListening: () => void;
}

/** How long the server may take to deliver a notification of our own. Behind a pooler in transaction mode it never comes. */
const PROOF_TIMEOUT_MS = 5_000;
const RECONNECT = { minMs: 100, maxMs: 10_000 };

/**
 * One connection that LISTENs on this process's channel, kept up by itself. It counts as listening only once a notification has come
 * through; where none does, it says once that callers poll, and gives up. While the connection is lost callers poll too.
 */
export class WakeListener {
  readonly #options: WakeListenerOptions;
  readonly #channel: string;
  readonly #stopping = new AbortController();
  #running: Promise<void> | null = null;
  #proven = false;
  #warned = false;

  constructor(options: WakeListenerOptions) {
    this.#options = options;
    this.#channel = replyChannelOf(options.context.runtime.uuid());
  }

  /** The channel, once listening has proved to work. */
  get channel(): string | null {
    return this.#proven ? this.#channel : null;
  }

  /** Begins in the background; once. */
  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    const { runtime } = this.#options.context;
    for (let failures = 0; !signal.aborted;) {
      const connection = new ListenConnection(this.#options.config, this.#channel, this.#options.onWake);
      const end = (): void => connection.end();
      signal.addEventListener('abort', end, { once: true });
      try {
        await Promise.race([connection.open(), connection.lost]);
        if (!(await this.#prove(connection))) {
          this.#proven = false;
          this.#warn(
            'LISTEN does not work here (a pooler?), so waiting for results polls; set results.listenUrl to the server itself',
          );
          return;
        }
        failures = 0;
        this.#warned = false;
        this.#proven = true;
        this.#options.onListening();
        await connection.lost;
      } catch (error) {
        if (signal.aborted) return;
        this.#warn(
          'the connection that waits for results is lost: polling until it is back',
          databaseError(error, this.#options.url),
        );
        failures += 1;
        await delay(backoffDelay(failures, RECONNECT, runtime), undefined, { signal }).catch(() => undefined);
      } finally {
        signal.removeEventListener('abort', end);
        connection.end();
      }
    }
  }

  async #prove(connection: ListenConnection): Promise<boolean> {
    const timeout = new AbortController();
    try {
      await Promise.race([this.#options.notify(this.#channel), connection.lost]);
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
  readonly #config: () => ClientConfig;
  readonly #channel: string;
  readonly #onWake: (ids: readonly string[]) => void;
  #client: Client | null = null;
  #fail: (error: Error) => void = () => {};
  #hear: (heard: true) => void = () => {};

  constructor(config: () => ClientConfig, channel: string, onWake: (ids: readonly string[]) => void) {
    this.#config = config;
    this.#channel = channel;
    this.#onWake = onWake;
    this.lost = new Promise((_resolve, reject) => (this.#fail = reject));
    this.lost.catch(() => undefined);
    this.heard = new Promise((resolve) => (this.#hear = resolve));
  }

  async open(): Promise<void> {
    const client = new Client(this.#config());
    this.#client = client;
    client.on('error', (error) => this.#fail(error));
    client.on('end', () => this.#fail(new Error('the connection ended')));
    client.on('notification', ({ payload }) => {
      this.#hear(true);
      this.#onWake(wokenIds(payload ?? ''));
    });
    await client.connect();
    await client.query(`LISTEN ${escapeIdentifier(this.#channel)}`);
  }

  end(): void {
    this.#fail(new Error('ended'));
    this.#client?.end().catch(() => undefined);
  }
}
