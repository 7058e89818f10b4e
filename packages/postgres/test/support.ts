import { randomBytes } from 'node:crypto';
import {
  type BrokerSettings,
  type Completion,
  type DriverContext,
  EventBus,
  type EventName,
  type LovageEvents,
  type PartitionPeriod,
  type RecordWrite,
  type ResultBackend,
  type ResultsSettings,
  systemRuntime,
} from '@lovage/core';
import { Client, type QueryResultRow, escapeIdentifier } from 'pg';
import { createResultBackend } from '../src/create-result-backend.js';

/** The server that `npm run services` provides. */
export function serverUrl(): string {
  const url = process.env['LOVAGE_RESULTS'];
  if (url === undefined)
    throw new TypeError(
      'expected LOVAGE_RESULTS to be set: run the tests with `npm test`, or through `npm run services -- npx jest …`',
    );
  return url;
}

export function resultsSettings(fields: Partial<ResultsSettings> = {}): ResultsSettings {
  return {
    url: serverUrl(),
    backend: null,
    pool: null,
    schema: 'lovage',
    expiresMs: 7 * 24 * 3_600_000,
    maxSize: 1_000_000,
    listenUrl: null,
    prepare: true,
    poolSize: 4,
    synchronousCommit: true,
    connectTimeoutMs: 5_000,
    connectRetryForMs: 5_000,
    credentials: null,
    tls: null,
    ...fields,
  };
}

export function brokerSettings(fields: Partial<BrokerSettings> = {}): BrokerSettings {
  return {
    urls: [serverUrl()],
    transport: null,
    heartbeatMs: 30_000,
    connectTimeoutMs: 5_000,
    connectRetryForMs: 5_000,
    publishTimeoutMs: 10_000,
    consumerTimeoutMs: 1_800_000,
    confirmWindow: 1_000,
    schema: 'lovage',
    listenUrl: null,
    prepare: true,
    credentials: null,
    tls: null,
    ...fields,
  };
}

/** A driver context that remembers its events. */
export class RecordedEvents {
  readonly bus = new EventBus();
  readonly context: DriverContext = { name: 'test', events: this.bus, runtime: systemRuntime };
  readonly seen: { readonly name: EventName; readonly event: unknown }[] = [];

  constructor() {
    const names = ['connection:open', 'connection:lost', 'connection:retry', 'warning'] as const;
    for (const name of names) this.bus.on(name, (event) => this.seen.push({ name, event }));
  }

  of<K extends EventName>(name: K): readonly LovageEvents[K][] {
    return this.seen.filter((one) => one.name === name).map(({ event }) => event as LovageEvents[K]);
  }

  /** Resolves with the next event of that name. */
  next<K extends EventName>(name: K): Promise<LovageEvents[K]> {
    return new Promise((resolve) => {
      const off = this.bus.on(name, (event) => {
        off();
        resolve(event);
      });
    });
  }
}

/** A schema of this test's own. */
export class TestSchema {
  readonly name: string;
  readonly url: string;
  readonly #backends: ResultBackend[] = [];

  constructor(options: { readonly name?: string; readonly url?: string } = {}) {
    this.name = options.name ?? `test_${randomBytes(6).toString('hex')}`;
    this.url = options.url ?? serverUrl();
  }

  /** A backend on this schema, not started; stopped by `dispose`. */
  backend(fields: Partial<ResultsSettings> = {}, context: DriverContext = new RecordedEvents().context): ResultBackend {
    const backend = createResultBackend(resultsSettings({ url: this.url, schema: this.name, ...fields }), context);
    this.#backends.push(backend);
    return backend;
  }

  async migrate({ partitionBy }: { readonly partitionBy?: PartitionPeriod } = {}): Promise<void> {
    const backend = this.backend();
    await backend.capabilities.schema?.migrate();
    if (partitionBy !== undefined) await backend.capabilities.partitions?.partitionBy(partitionBy);
    await backend.stop();
  }

  async started(fields: Partial<ResultsSettings> = {}, context?: DriverContext): Promise<ResultBackend> {
    const backend = this.backend(fields, context);
    await backend.start({ retryForMs: 5_000 });
    return backend;
  }

  /** Runs SQL with the schema as search path. */
  async sql<R extends QueryResultRow>(text: string, values: readonly unknown[] = []): Promise<R[]> {
    const client = new Client({ connectionString: this.url });
    await client.connect();
    try {
      await client.query(`SET search_path TO ${escapeIdentifier(this.name)}`);
      return (await client.query<R>(text, [...values])).rows;
    } finally {
      await client.end();
    }
  }

  async dispose(): Promise<void> {
    for (const backend of this.#backends) await backend.stop();
    await this.sql(`DROP SCHEMA IF EXISTS ${escapeIdentifier(this.name)} CASCADE`);
  }
}

/** A write of a task that succeeded, unless told otherwise. */
export function recordWrite(fields: Partial<RecordWrite> = {}): RecordWrite {
  const id = fields.id ?? systemRuntime.uuid();
  return {
    id,
    task: 'test.task',
    state: 'SUCCESS',
    attempt: 0,
    argsJson: '[1,2]',
    kwargsJson: '{}',
    resultJson: '0.5',
    error: null,
    progressJson: null,
    retries: 0,
    queue: 'test',
    worker: null,
    parentId: null,
    rootId: id,
    groupId: null,
    runtimeMs: null,
    due: null,
    ...fields,
  };
}

/** A completion of that record alone, unless told otherwise. */
export function completion(record: RecordWrite, fields: Partial<Omit<Completion, 'record'>> = {}): Completion {
  return { record, replyTo: null, followUps: [], uniqueKey: null, parkedRow: null, ...fields };
}

/** Resolves once the condition holds; rejects after ten seconds. */
export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new RangeError(`expected ${what} within 10 s`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
