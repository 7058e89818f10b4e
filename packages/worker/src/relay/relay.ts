import {
  LovageError,
  isQueueTable,
  queueSpec,
  resultsNotConfigured,
  type Lovage,
  type Outbox,
  type ResultBackend,
} from '@lovage/core';
import { brokerText, processName, resultsText } from '../app-info.js';
import { Retention } from '../retention.js';
import { Clock } from './clock.js';
import { Dispatcher } from './dispatcher.js';
import { OutboxRelay } from './outbox-relay.js';

export interface RelayOptions {
  /** How long the first connections are tried, in milliseconds; 0: one attempt. Default: `broker.connectRetryFor`, `results.connectRetryFor`. */
  readonly retryForMs?: number;
}

/** A relay that is ready: what a banner shows. URLs are masked. */
export interface RelayInfo {
  /** `<app>@<host>:<pid>`. */
  readonly name: string;
  readonly app: string;
  readonly broker: string;
  readonly results: string;
}

/**
 * Sends what is due in an app's outbox, deletes what has been kept long enough (`results.expires`), and runs no task. Every worker does this beside its tasks: a relay of its own is for deployments whose workers are
 * all Python. Any number may run.
 *
 * The app's connections are the app's: stop the relay, then the app.
 *
 * @example
 * await using relay = new Relay(app);
 * await relay.start();
 */
export class Relay {
  readonly #app: Lovage;
  readonly #options: RelayOptions;
  #starting: Promise<RelayInfo> | null = null;
  #stopping: Promise<void> | null = null;
  #relay: OutboxRelay | null = null;
  #retention: Retention | null = null;

  constructor(app: Lovage, options: RelayOptions = {}) {
    this.#app = app;
    this.#options = options;
  }

  /**
   * Connects and begins. Once; a second call gives the first one's answer. After a failure it may be called again.
   *
   * @throws LOVAGE_RESULTS_NOT_CONFIGURED for an app without results, LOVAGE_DRIVER for results without an outbox; LOVAGE_CONFIG; LOVAGE_BROKER_UNAVAILABLE,
   * LOVAGE_RESULTS_UNAVAILABLE when the time for first connections is over; LOVAGE_ACCESS_REFUSED, LOVAGE_SCHEMA at once; LOVAGE_STOPPED when stopped meanwhile.
   */
  start(): Promise<RelayInfo> {
    this.#starting ??= this.#start().catch((error: unknown) => {
      this.#starting = null;
      throw error;
    });
    return this.#starting;
  }

  /** Claims nothing more; what is being published is finished, or left to other relays if that takes longer than a second. Idempotent. */
  stop(): Promise<void> {
    return (this.#stopping ??= this.#stop());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #start(): Promise<RelayInfo> {
    this.#assertNotStopping();
    const settings = await this.#app.settings();
    const results = resultsText(settings);
    if (results === null) throw resultsNotConfigured('a relay sends what is in the outbox, beside the results');
    const outbox = outboxOf(await this.#app.resultBackend());
    const { retryForMs } = this.#options;
    const [transport, backend] = await Promise.all([
      this.#app.connectBroker({ retryForMs: retryForMs ?? settings.broker.connectRetryForMs }),
      this.#app.connectResults({ retryForMs: retryForMs ?? settings.results?.connectRetryForMs ?? 0 }),
    ]);
    this.#assertNotStopping();
    const { events, runtime } = this.#app;
    const spec = (queue: string) => queueSpec(settings, queue);
    const dispatcher = new Dispatcher({ outbox, transport, queueSpec: spec, events });
    if (await isQueueTable(transport, outbox))
      events.emit('warning', {
        message: 'nothing is to be relayed: the outbox is the queue itself, and workers take what is due from it',
      });
    else this.#relay = new OutboxRelay({ outbox, dispatcher, clock: new Clock(runtime), events, runtime });
    await this.#relay?.start();
    this.#assertNotStopping();
    // Where all workers are Python's, nobody else does.
    if (backend !== null)
      this.#retention = new Retention({
        results: backend,
        events,
        runtime,
        keepRevocationsMs: settings.revocations.keepMs,
      });
    this.#retention?.start();
    return { name: processName(settings.name), app: settings.name, broker: brokerText(settings), results };
  }

  async #stop(): Promise<void> {
    await Promise.all([this.#relay?.stop(), this.#retention?.stop()]);
  }

  #assertNotStopping(): void {
    if (this.#stopping !== null) throw new LovageError('LOVAGE_STOPPED', 'the relay has been stopped; make a new one');
  }
}

function outboxOf(backend: ResultBackend | null): Outbox {
  const outbox = backend?.capabilities.outbox;
  if (outbox !== undefined) return outbox;
  throw new LovageError('LOVAGE_DRIVER', 'the result backend of this app has no outbox: there is nothing to relay');
}
