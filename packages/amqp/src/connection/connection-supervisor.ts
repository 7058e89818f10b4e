import { askCredentials, backoffDelay, isLovageError } from '@lovage/core';
import type { BrokerSettings, DriverContext, LovageError, StartOptions } from '@lovage/core';
import { connect } from 'amqplib';
import type { ChannelModel } from 'amqplib';
import { acceptAnyHeaders } from '../wire/accept-any-headers.js';
import { refusalOf, stopped, unavailable } from './connection-error.js';
import { nextState } from './connection-state.js';
import type { ConnectionEvent, ConnectionState } from './connection-state.js';
import { type Endpoint, endpointFor } from './endpoint.js';
import { pause } from './pause.js';
import { socketOptions } from './socket-options.js';

/** The delays between two rounds over all hosts; also between two channels that did not last. */
export const RECONNECT_BACKOFF = { minMs: 200, maxMs: 5_000 };
/** How long a goodbye may take before the socket is cut. */
const CLOSE_TIMEOUT_MS = 5_000;

/** A connection that is up. What belongs to it lives until `signal` aborts. */
export interface OpenConnection {
  readonly model: ChannelModel;
  /** Aborts when the connection is lost or is being closed. */
  readonly signal: AbortSignal;
}

export interface SupervisorOptions {
  /** Shown by the server, after the app's name. */
  readonly role: 'publish' | 'consume';
  readonly endpoints: readonly Endpoint[];
  readonly settings: BrokerSettings;
  readonly context: DriverContext;
  /** Called for each connection, before anybody who waits for it goes on. Must not throw. */
  readonly onOpen: (connection: OpenConnection) => void;
  /** The broker takes nothing for now, or takes it again. */
  readonly onBlocked: (blocked: boolean) => void;
}

/** Whoever waits for the first connection. */
interface FirstConnection {
  readonly until: number;
  readonly resolve: () => void;
  readonly reject: (error: LovageError) => void;
}

/**
 * Keeps one connection to one of several hosts, by the table in connection-state.ts.
 *
 * Written over amqplib's plain connect(): its own recovery (2.3.1) gets stuck for ever when a connection dies while its `setup`
 * waits, and binds no 'error' listener meanwhile, so that the error is thrown out of the socket's handler.
 * Here the listeners are bound before anything else, and what is set up on a connection is aborted by that connection's signal.
 */
export class ConnectionSupervisor {
  readonly #options: SupervisorOptions;
  readonly #stop = new AbortController();
  readonly #waiters = new Set<() => void>();
  #state: ConnectionState = 'idle';
  #connection: OpenConnection | null = null;
  #first: Promise<void> | null = null;
  #ended: Promise<void> = Promise.resolve();
  #nextHost = 0;

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** The connection that is up, if one is. */
  get connection(): OpenConnection | null {
    return this.#connection;
  }

  /** As `Transport.start`. Concurrent calls share one attempt. */
  async start({ retryForMs }: StartOptions): Promise<void> {
    if (this.#stop.signal.aborted) throw stopped();
    this.#first ??= new Promise((resolve, reject) => {
      const until = this.#options.context.runtime.monotonic() + retryForMs;
      this.#ended = this.#run({ until, resolve, reject });
    });
    try {
      await this.#first;
    } catch (error) {
      this.#first = null;
      throw error;
    }
  }

  /** Resolves with the connection as soon as one is up; rejects with LOVAGE_STOPPED, or when `signal` aborts with its reason. */
  async whenOpen(signal: AbortSignal): Promise<OpenConnection> {
    for (;;) {
      if (this.#connection !== null) return this.#connection;
      if (this.#first === null || this.#stop.signal.aborted) throw stopped();
      signal.throwIfAborted();
      await new Promise<void>((resolve) => {
        const wake = () => {
          this.#waiters.delete(wake);
          signal.removeEventListener('abort', wake);
          resolve();
        };
        this.#waiters.add(wake);
        signal.addEventListener('abort', wake);
      });
    }
  }

  /** Closes the connection, or the attempt to get one. Idempotent. */
  async stop(): Promise<void> {
    this.#move('stop');
    this.#stop.abort();
    this.#wake();
    await this.#ended;
  }

  async #run(first: FirstConnection): Promise<void> {
    const { runtime, events } = this.#options.context;
    let failures = 0;
    let everOpen = false;
    this.#move('start');
    while (!this.#stop.signal.aborted) {
      const endpoint = this.#nextEndpoint();
      const begun = runtime.monotonic();
      const error = await this.#attempt(endpoint, {
        timeoutMs: everOpen ? Infinity : first.until - begun,
        onOpen: () => {
          everOpen = true;
          first.resolve();
        },
      });
      if (error === null) break;
      // Waiting already: it was up. One that lasted was a good one; those that die at once must not be replaced at full speed.
      failures = this.#state === 'waiting' && runtime.monotonic() - begun > RECONNECT_BACKOFF.maxMs ? 1 : failures + 1;
      const delayMs = this.#delayAfter(failures);
      if (!everOpen) {
        const verdict = this.#verdict(error, { until: first.until, delayMs });
        if (verdict !== null) {
          this.#move('gaveUp');
          first.reject(verdict);
          return;
        }
      }
      this.#move('failed');
      events.emit('connection:retry', { target: 'broker', url: endpoint.masked, attempt: failures, delayMs, error });
      await pause(delayMs, this.#stop.signal);
      this.#move('due');
    }
    this.#move('ended');
    first.reject(stopped()); // nothing, if it was resolved
  }

  /** One connection, from the attempt to its end: the error that ended it, or null when `stop` did. */
  async #attempt(
    endpoint: Endpoint,
    { timeoutMs, onOpen }: { readonly timeoutMs: number; readonly onOpen: () => void },
  ): Promise<Error | null> {
    const { settings, context, role } = this.#options;
    const socket = new AbortController();
    const abort = () => socket.abort();
    this.#stop.signal.addEventListener('abort', abort);
    const ownMs = timeoutMs > 0 ? Math.min(timeoutMs, settings.connectTimeoutMs) : settings.connectTimeoutMs;
    let asked = endpoint;
    let model: ChannelModel;
    try {
      asked = await this.#withCredentials(endpoint, { timeoutMs: ownMs, signal: socket.signal });
      model = await connect(
        asked.connect,
        await socketOptions({
          settings,
          connectionName: `${context.name} (${role})`,
          timeoutMs: ownMs,
          signal: socket.signal,
        }),
      );
    } catch (error) {
      return this.#stop.signal.aborted ? null : (refusalOf(error, asked) ?? (error as Error));
    } finally {
      this.#stop.signal.removeEventListener('abort', abort);
    }
    const lost = new AbortController();
    let failure: Error | null = null;
    model.on('error', (error) => (failure = error));
    model.on('close', (error) => {
      failure ??= error ?? null;
      lost.abort();
    });
    if (this.#stop.signal.aborted) {
      socket.abort();
      return null;
    }
    this.#opened({ model, signal: lost.signal }, endpoint);
    onOpen();
    await this.#untilOver(model, lost);
    // Lets the last frames out; a peer that is gone would keep the socket, and the process, for minutes.
    setTimeout(abort, 1_000).unref();
    this.#connection = null;
    if (this.#stop.signal.aborted) return null;
    const error = failure ?? unavailable('the connection to the broker was closed', null);
    this.#move('lost');
    context.events.emit('connection:lost', { target: 'broker', url: endpoint.masked, role: this.#options.role, error });
    return error;
  }

  async #withCredentials(
    endpoint: Endpoint,
    options: { readonly timeoutMs: number; readonly signal: AbortSignal },
  ): Promise<Endpoint> {
    const { credentials } = this.#options.settings;
    if (credentials === null) return endpoint;
    return endpointFor(endpoint, await askCredentials(credentials, { target: 'broker', ...options }));
  }

  #opened(connection: OpenConnection, endpoint: Endpoint): void {
    const { context, onOpen, onBlocked } = this.#options;
    if (!acceptAnyHeaders(connection.model.connection)) {
      context.events.emit('warning', {
        message:
          "this version of amqplib cannot be taught the header tag 'L', and headers nested very deep: a message with such headers drops the connection",
      });
    }
    connection.model.on('blocked', (reason) => {
      this.#move('blocked');
      onBlocked(true);
      context.events.emit('connection:blocked', { target: 'broker', reason });
    });
    connection.model.on('unblocked', () => {
      this.#move('unblocked');
      onBlocked(false);
      context.events.emit('connection:unblocked', { target: 'broker' });
    });
    this.#connection = connection;
    this.#move('opened');
    onBlocked(false);
    onOpen(connection);
    this.#wake();
    context.events.emit('connection:open', { target: 'broker', url: endpoint.masked, role: this.#options.role });
  }

  /** Resolves when the connection is lost, or has been closed because of `stop`. */
  async #untilOver(model: ChannelModel, lost: AbortController): Promise<void> {
    const over = new Promise<void>((resolve) => {
      if (lost.signal.aborted) resolve();
      else lost.signal.addEventListener('abort', () => resolve());
    });
    const stop = new Promise<void>((resolve) => {
      if (this.#stop.signal.aborted) resolve();
      else this.#stop.signal.addEventListener('abort', () => resolve(), { signal: lost.signal });
    });
    await Promise.race([over, stop]);
    if (lost.signal.aborted) return;
    const patience = new AbortController();
    // amqplib's close() never answers when the connection dies meanwhile: its 'close' event does.
    await Promise.race([model.close().catch(() => undefined), over, pause(CLOSE_TIMEOUT_MS, patience.signal)]);
    patience.abort();
    lost.abort();
  }

  /** What `start` throws; null: try again. */
  #verdict(error: Error, { until, delayMs }: { readonly until: number; readonly delayMs: number }): LovageError | null {
    if (isLovageError(error, 'LOVAGE_CONFIG') || isLovageError(error, 'LOVAGE_ACCESS_REFUSED')) return error;
    const { runtime } = this.#options.context;
    if (delayMs === 0 || runtime.monotonic() + delayMs <= until) return null;
    const hosts = this.#options.endpoints.map(({ masked }) => masked).join(', ');
    return unavailable(`the broker at ${hosts} could not be reached`, error);
  }

  /** None between two hosts of one round. */
  #delayAfter(failures: number): number {
    const hosts = this.#options.endpoints.length;
    if (failures % hosts !== 0) return 0;
    return backoffDelay(failures / hosts, RECONNECT_BACKOFF, this.#options.context.runtime);
  }

  #nextEndpoint(): Endpoint {
    const { endpoints } = this.#options;
    return endpoints[this.#nextHost++ % endpoints.length] as Endpoint;
  }

  #move(event: ConnectionEvent): void {
    this.#state = nextState(this.#state, event);
  }

  #wake(): void {
    for (const wake of [...this.#waiters]) wake();
  }
}
