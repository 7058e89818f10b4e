import {
  type BrokerSettings,
  type ConsumeOptions,
  type Consumer,
  type DriverContext,
  LovageError,
  type Message,
  type QueueDepth,
  type QueueInspector,
  type QueueSpec,
  type StartOptions,
  type Transport,
  type TransportCapabilities,
  maskUrl,
} from '@lovage/core';
import { clientWith } from '../database/client-with.js';
import { connectionConfig } from '../database/connection-config.js';
import { Database } from '../database/database.js';
import { outboxChannelOf } from '../outbox/outbox-channel.js';
import { PostgresSchemaManager } from '../schema/postgres-schema-manager.js';
import { readTableId } from '../schema/table-id.js';
import { NOTIFY } from '../waiting/wake-announcer.js';
import { WakeListener } from '../waiting/wake-listener.js';
import { PostgresConsumer } from './postgres-consumer.js';
import { Publisher } from './publisher.js';
import { type QueueStatements, queueStatements } from './statements.js';
import { Topology } from './topology.js';
import { visitQueue } from './visit-queue.js';
import { WakeChannel } from './wake-channel.js';

/** Two that publish, one that tells of it, and two for all consumers. */
const POOL_SIZE = 5;
/** However impatient publishers are: what a claim that is given up has taken waits for the end of its lease. */
const QUERY_TIMEOUT_MS = 10_000;
/** A statement that purges more may well not be answered in time. */
const PURGE_BATCH = 10_000;

/**
 * Queues in PostgreSQL: their messages are the rows of `outbox`, which is also the outbox of results that are kept in the same schema. A delivery is a lease of 30 s, renewed
 * every 10 s: what a process held that has died comes back within 30 s. What it promises is in Transport; how, in the modules it is made of.
 */
export class PostgresTransport implements Transport {
  readonly capabilities: TransportCapabilities;
  readonly #settings: BrokerSettings;
  readonly #context: DriverContext;
  readonly #url: string;
  readonly #database: Database;
  readonly #statements: QueueStatements;
  readonly #schema: PostgresSchemaManager;
  readonly #topology: Topology;
  readonly #channel: string;
  readonly #wakes: WakeChannel;
  readonly #consumers = new Set<PostgresConsumer>();
  #publisher: Publisher;
  #listener: WakeListener | null = null;
  #stopped = false;

  constructor(settings: BrokerSettings, context: DriverContext) {
    this.#settings = settings;
    this.#context = context;
    this.#url = onlyUrl(settings.urls);
    const { connectTimeoutMs, publishTimeoutMs, prepare, credentials, tls, schema } = settings;
    const database = { url: this.#url, pool: null, poolSize: POOL_SIZE, connectTimeoutMs, prepare, credentials, tls };
    const queryTimeoutMs = Math.max(publishTimeoutMs, QUERY_TIMEOUT_MS);
    this.#database = new Database({ ...database, target: 'broker', queryTimeoutMs }, context);
    this.#statements = queueStatements(schema);
    this.#schema = new PostgresSchemaManager(this.#database, schema);
    this.#topology = new Topology(this.#database, this.#statements);
    this.#channel = outboxChannelOf(schema);
    this.#wakes = new WakeChannel(this.#database, this.#channel);
    this.#publisher = this.#newPublisher();
    this.capabilities = {
      inspect: this.#inspector(),
      schema: this.#schema,
      table: {
        id: () => readTableId(this.#database, schema),
        wakeIn: (ms) => {
          for (const consumer of this.#consumers) consumer.wakeIn(ms);
        },
      },
    };
  }

  async start(options: StartOptions): Promise<void> {
    if (this.#stopped) this.#publisher = this.#newPublisher();
    this.#stopped = false;
    await this.#database.start(options, () => this.#schema.verify());
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#publisher.stop();
    await Promise.all([...this.#consumers].map((consumer) => consumer.close()));
    await this.#listener?.stop();
    this.#listener = null;
    await this.#database.stop();
  }

  async declare(queues: readonly QueueSpec[]): Promise<void> {
    this.#assertOpen();
    await this.#topology.declare(queues);
  }

  async publish(messages: readonly Message[]): Promise<readonly (LovageError | null)[]> {
    const outcomes = await this.#publisher.publish(messages);
    if (outcomes.some((outcome) => outcome?.code === 'LOVAGE_UNROUTABLE'))
      this.#topology.forget(
        messages.flatMap(({ queue }, index) => (outcomes[index]?.code === 'LOVAGE_UNROUTABLE' ? [queue] : [])),
      );
    return outcomes;
  }

  async consume(options: ConsumeOptions): Promise<Consumer> {
    this.#assertOpen();
    const { queue } = options;
    if ((await this.#database.run(this.#statements.queues, [[queue]])).length === 0) throw missing(queue);
    const consumer = new PostgresConsumer({
      ...options,
      database: this.#database,
      statements: this.#statements,
      context: this.#context,
      onHandedBack: (name) => this.#wakes.tell([name]),
      onClosed: (closed) => this.#consumers.delete(closed),
    });
    await consumer.open();
    this.#consumers.add(consumer);
    if (this.#stopped) await consumer.close();
    this.#assertOpen();
    this.#listen();
    return consumer;
  }

  #newPublisher(): Publisher {
    return new Publisher({
      database: this.#database,
      statements: this.#statements,
      context: this.#context,
      timeoutMs: this.#settings.publishTimeoutMs,
      onPublished: (queues) => this.#wakes.tell(queues),
    });
  }

  /** From the first consumer on. */
  #listen(): void {
    if (this.#listener !== null) return;
    const { listenUrl, connectTimeoutMs, credentials, tls } = this.#settings;
    const listenAt = listenUrl ?? this.#url;
    const applicationName = `lovage ${this.#context.name} listen`;
    const ListenClient = clientWith(credentials, { target: 'broker', timeoutMs: connectTimeoutMs });
    this.#listener = new WakeListener({
      context: this.#context,
      target: 'broker',
      url: maskUrl(listenAt),
      client: () =>
        new ListenClient(connectionConfig(listenAt, { applicationName, connectTimeoutMs, tls, target: 'broker' })),
      notify: async (channel) => void (await this.#database.run(NOTIFY, [[channel], ['']])),
    });
    const wake = (queue: string | null): void => {
      for (const consumer of this.#consumers) if (queue === null || consumer.queue === queue) consumer.wakeIn(0);
    };
    this.#listener.follow({ channel: this.#channel, onNotify: wake, onListening: () => wake(null) });
  }

  #inspector(): QueueInspector {
    return {
      depths: async (queues) => {
        this.#assertOpen();
        if (queues.length === 0) return [];
        const rows = await this.#database.run(this.#statements.depths, [queues]);
        const found = new Map(
          rows.map(({ name, messages, consumers }): [string, QueueDepth] => [
            name ?? '',
            { messages: Number(messages), consumers: Number(consumers) },
          ]),
        );
        return queues.map((queue) => found.get(queue) ?? null);
      },
      purge: async (queue) => {
        this.#assertOpen();
        for (let purged = 0; ;) {
          const [row] = await this.#database.run(this.#statements.purge, [queue, PURGE_BATCH]);
          if (row?.['known'] !== 't') throw missing(queue);
          const count = Number(row['count']);
          purged += count;
          if (count < PURGE_BATCH) return purged;
        }
      },
      visit: async (queue, { limit = null }, visitor) => {
        this.#assertOpen();
        if ((await this.#database.run(this.#statements.queues, [[queue]])).length === 0) throw missing(queue);
        return visitQueue(this.#database, { queue, limit, visitor, statements: this.#statements });
      },
    };
  }

  #assertOpen(): void {
    if (this.#stopped) throw new LovageError('LOVAGE_STOPPED', 'the transport has been stopped');
  }
}

function missing(queue: string): LovageError {
  return new LovageError('LOVAGE_UNROUTABLE', `there is no queue '${queue}': declare it, or start a worker that does`);
}

function onlyUrl(urls: readonly string[]): string {
  const [url] = urls;
  if (url !== undefined && urls.length === 1) return url;
  throw new LovageError(
    'LOVAGE_CONFIG',
    `expected broker to be one URL, as it is PostgreSQL's, got ${urls.length}: ${urls.map(maskUrl).join(', ')}`,
  );
}
