import { LovageError } from '@lovage/core';
import type {
  BrokerSettings,
  ConsumeOptions,
  Consumer,
  DriverContext,
  Message,
  QueueSpec,
  StartOptions,
  Transport,
  TransportCapabilities,
} from '@lovage/core';
import { stopped, unavailable } from './connection/connection-error.js';
import { ConnectionSupervisor } from './connection/connection-supervisor.js';
import type { OpenConnection } from './connection/connection-supervisor.js';
import { pause } from './connection/pause.js';
import { parseEndpoint } from './connection/endpoint.js';
import { AmqpConsumer } from './consumer/amqp-consumer.js';
import { checkPrefetch } from './consumer/check-prefetch.js';
import type { PublishOutcome } from './publisher/publish-batch.js';
import { Publisher } from './publisher/publisher.js';
import { depths, purge, visit } from './topology/queue-inspector.js';
import { Topology } from './topology/topology.js';

/** How long `stop` waits for the broker to read the last acknowledgements. */
const STOP_TIMEOUT_MS = 5_000;
/** How long publishing waits, after a reconnection, for all queues to be declared again. */
const RESTORE_TIMEOUT_MS = 2_000;

/** Lovage's transport on RabbitMQ. Throws LOVAGE_CONFIG for a URL that is not `amqp:` or `amqps:`. No I/O. */
export function createTransport(settings: BrokerSettings, context: DriverContext): Transport {
  return new AmqpTransport(settings, context);
}

/**
 * Two connections: one publishes and declares, from `start` on; one consumes, from the first `consume` on. A broker short of memory
 * stops reading the sockets of publishers, and would stop reading acknowledgements on the same one.
 */
class AmqpTransport implements Transport {
  readonly capabilities: TransportCapabilities;
  readonly #settings: BrokerSettings;
  readonly #context: DriverContext;
  readonly #topology: Topology;
  readonly #publisher: Publisher;
  readonly #publishing: ConnectionSupervisor;
  readonly #consuming: ConnectionSupervisor;
  readonly #consumers = new Set<AmqpConsumer>();
  #retryForMs = 0;
  #isStarted = false;
  #stopping: Promise<void> | null = null;

  constructor(settings: BrokerSettings, context: DriverContext) {
    this.#settings = settings;
    this.#context = context;
    this.#topology = new Topology(settings.connectTimeoutMs);
    this.capabilities = {
      inspect: {
        depths: (queues) => this.#onConnection(({ model }) => depths(model, queues)),
        purge: (queue) => this.#onConnection(({ model }) => purge(model, queue)),
        // However long it takes, and on one connection: whoever visits is not to be shown the same again.
        visit: async (queue, { limit }, visitor) => {
          const { model } = await this.#onConnection(async (open) => open);
          return visit(model, { queue, limit, visitor });
        },
      },
      consumerTimeoutMs: settings.consumerTimeoutMs,
    };
    const endpoints = settings.urls.map((url) => parseEndpoint(url, settings.heartbeatMs));
    if (endpoints.length === 0)
      throw new LovageError('LOVAGE_CONFIG', 'expected `broker` to be one URL or several, got none');
    const { confirmWindow: window, publishTimeoutMs: timeoutMs } = settings;
    this.#publisher = new Publisher({
      runtime: context.runtime,
      window,
      timeoutMs,
      onReturned: (queue) => {
        const { connection } = this.#publishing;
        if (connection !== null) this.#topology.forget(connection, queue);
      },
    });
    this.#publishing = new ConnectionSupervisor({
      role: 'publish',
      endpoints,
      settings,
      context,
      onOpen: (connection) => void this.#publishOn(connection),
      onBlocked: (blocked) => this.#publisher.setBlocked(blocked),
    });
    this.#consuming = new ConnectionSupervisor({
      role: 'consume',
      endpoints,
      settings,
      context,
      onOpen: (connection) => this.#consumers.forEach((consumer) => consumer.serve(connection)),
      onBlocked: () => undefined,
    });
  }

  async start(options: StartOptions): Promise<void> {
    this.#retryForMs = options.retryForMs;
    await this.#publishing.start(options);
    this.#isStarted = true;
  }

  stop(): Promise<void> {
    return (this.#stopping ??= this.#stop());
  }

  async declare(queues: readonly QueueSpec[]): Promise<void> {
    const { connection } = this.#publishing;
    if (connection !== null && this.#topology.isDeclared(connection, queues)) return;
    await this.#onConnection((open) => this.#topology.declare(open, queues));
  }

  publish(messages: readonly Message[]): Promise<readonly PublishOutcome[]> {
    if (!this.#isStarted) return Promise.resolve(messages.map(stopped));
    return this.#publisher.publish(messages);
  }

  async consume(options: ConsumeOptions): Promise<Consumer> {
    checkPrefetch(options.prefetch);
    if (!this.#isStarted || this.#stopping !== null) throw stopped();
    await this.#consuming.start({ retryForMs: this.#retryForMs });
    const consumer: AmqpConsumer = new AmqpConsumer({
      consume: options,
      context: this.#context,
      topology: this.#topology,
      answerTimeoutMs: this.#settings.connectTimeoutMs,
      idleMs: this.#settings.heartbeatMs,
      onClosed: () => this.#consumers.delete(consumer),
    });
    this.#consumers.add(consumer);
    const { connection } = this.#consuming;
    if (connection !== null) consumer.serve(connection);
    await consumer.accepted;
    return consumer;
  }

  async #stop(): Promise<void> {
    this.#publisher.stop();
    // Closing the connection would overtake acknowledgements that amqplib still holds; closing their channel does not.
    const patience = new AbortController();
    const closed = Promise.all([...this.#consumers].map((consumer) => consumer.close()));
    await Promise.race([closed, pause(STOP_TIMEOUT_MS, patience.signal)]);
    patience.abort();
    await Promise.all([this.#publishing.stop(), this.#consuming.stop()]);
  }

  /** A queue that is gone must be back before messages for it are sent again; one that has no leader now must not hold up those for others. */
  async #publishOn(connection: OpenConnection): Promise<void> {
    const patience = new AbortController();
    await Promise.race([this.#restore(connection), pause(RESTORE_TIMEOUT_MS, patience.signal)]);
    patience.abort();
    this.#publisher.serve(connection);
  }

  async #restore(connection: OpenConnection): Promise<void> {
    for (const error of await this.#topology.restore(connection)) {
      if (connection.signal.aborted) return;
      this.#context.events.emit('warning', { message: (error as Error).message, error: error as Error });
    }
  }

  /** Does `work` on the publishing connection, and again on the next one if that is lost meanwhile, for as long as a publish may take. */
  async #onConnection<T>(work: (connection: OpenConnection) => Promise<T>): Promise<T> {
    const { publishTimeoutMs } = this.#settings;
    const expired = unavailable(
      `the broker did not answer within ${publishTimeoutMs} ms (broker.publishTimeout)`,
      null,
    );
    const deadline = new AbortController();
    const timer = setTimeout(() => deadline.abort(expired), publishTimeoutMs);
    const over = new Promise<never>((_, reject) => deadline.signal.addEventListener('abort', () => reject(expired)));
    over.catch(() => undefined);
    try {
      for (;;) {
        const connection = await this.#publishing.whenOpen(deadline.signal);
        try {
          return await Promise.race([work(connection), over]);
        } catch (error) {
          if (!connection.signal.aborted || deadline.signal.aborted) throw error;
        }
      }
    } finally {
      clearTimeout(timer);
    }
  }
}
