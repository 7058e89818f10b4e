import type { ResultBackend } from '../results/result-backend.js';
import type { Transport } from '../transport/transport.js';
import * as type from './config-type.js';
import type { ConfigType } from './config-type.js';
import { url, urls } from './config-url.js';
import { POOL_NAMES } from '../task/pool-name.js';
import { queues, routes } from './queue-types.js';
import { contentTypes, credentials, keyId, signingKeys } from './security-types.js';

/** One key of the configuration. */
export interface ConfigKey<T = unknown> {
  readonly type: ConfigType<T>;
  /** As Settings hold it. */
  readonly default: T;
  /** The default as users would write it; null: there is none. */
  readonly defaultText: string | null;
  readonly doc: string;
  /** The group whose own name stands for this key too: `broker: 'amqp://…'` is `broker.url`. */
  readonly short: string | null;
  /** Keys of one slot exclude one another; over several sources the last one set wins. */
  readonly slot: string | null;
  /** false: the value is an object, which no environment variable can hold. */
  readonly inEnv: boolean;
  /** What Celery calls it, for whoever comes from there. */
  readonly celery: string | null;
}

type KeyOptions = Partial<Pick<ConfigKey, 'short' | 'slot' | 'inEnv' | 'celery'>> & { readonly doc: string };

/** A key with a default, written as users would write it. */
function key<T>(keyType: ConfigType<T>, written: string | number | boolean, options: KeyOptions): ConfigKey<T> {
  const value = keyType.read(written, 'the default', []) as T;
  return {
    short: null,
    slot: null,
    inEnv: true,
    celery: null,
    ...options,
    type: keyType,
    default: value,
    defaultText: String(written),
  };
}

/** A key that may stay unset. */
function optional<T>(keyType: ConfigType<T>, options: KeyOptions): ConfigKey<T | null> {
  const nullable = type.nullable(keyType);
  return {
    short: null,
    slot: null,
    inEnv: true,
    celery: null,
    ...options,
    type: nullable,
    default: null,
    defaultText: null,
  };
}

/** A key whose default is an empty record. */
function record<T>(keyType: ConfigType<T>, options: KeyOptions): ConfigKey<T> {
  return { ...key(keyType, '{}', options), defaultText: '{}' };
}

const timer = type.duration({ min: '1ms' });
/** AMQP's own limit of a consumer's prefetch. */
const UINT16 = 65_535;
/** RabbitMQ's own limit of what it can be told to take. */
const LARGEST_MESSAGE = 512 * 2 ** 20;
/** Above it PostgreSQL cannot build the jsonb value. */
const LARGEST_JSONB = 250_000_000;

const tlsKeys = <const G extends 'broker' | 'results'>(group: G) => {
  const keys = {
    caFile: optional(type.fileName, { doc: 'The authorities to trust instead of the system’s, as a PEM file.' }),
    certFile: optional(type.fileName, { doc: 'The client’s certificate, as a PEM file.' }),
    keyFile: optional(type.fileName, { doc: 'The key of the client’s certificate, as a PEM file.' }),
    serverName: optional(type.name, { doc: 'The name that the server’s certificate must bear, if not the host’s.' }),
  };
  const entries = Object.entries(keys).map(([name, value]) => [`${group}.tls.${name}`, value]);
  return Object.fromEntries(entries) as { [K in keyof typeof keys as `${G}.tls.${K}`]: (typeof keys)[K] };
};

/** Every key there is. Validation, names in the environment, suggestions and docs/reference/configuration.md derive from this table. */
export const CONFIG_KEYS = {
  name: key(type.name, 'lovage', { doc: 'The app’s name, shown in banners, connections and logs.' }),

  'broker.url': optional(urls, {
    short: 'broker',
    slot: 'broker',
    celery: 'broker_url',
    doc: 'Where messages go: an `amqp:` URL, or several of the hosts of one cluster, tried in turn; or a `postgres:` URL: queues in a table.',
  }),
  'broker.transport': optional(type.objectWith<Transport>('a Transport', ['declare', 'publish', 'consume']), {
    slot: 'broker',
    inEnv: false,
    doc: 'A ready transport instead of a URL; `broker` may be set to it directly. Who creates it stops it.',
  }),
  'broker.heartbeat': key(type.duration({ min: '1s', max: '10m' }), '30s', {
    celery: 'broker_heartbeat',
    doc: 'How often a silent connection is probed, and a RabbitMQ consumer begun anew that nothing comes to.',
  }),
  'broker.connectTimeout': key(timer, '10s', {
    celery: 'broker_connection_timeout',
    doc: 'How long one attempt to connect may take, and the broker’s answer to a declaration or a consumer.',
  }),
  'broker.connectRetryFor': key(type.duration({ min: '0s' }), '60s', {
    doc: 'How long a worker tries its first connection; 0: one attempt. A connection lost later is repaired for ever.',
  }),
  'broker.publishTimeout': key(timer, '10s', {
    doc: 'How long `delay` waits for the broker’s word, a first connection included.',
  }),
  'broker.confirmWindow': key(type.integer({ min: 1, max: 1_000_000 }), 1000, {
    doc: 'How many messages may be unconfirmed at once; more wait.',
  }),
  'broker.consumerTimeout': key(type.duration({ min: '1s' }), '30m', {
    doc: 'RabbitMQ: its own `consumer_timeout`, if that is not the default: how long it leaves a message unacknowledged. A task that runs for half of it is parked in the outbox.',
  }),
  'broker.schema': optional(type.schemaName, {
    doc: 'PostgreSQL: the schema of the tables. Unset: `results.schema`.',
  }),
  'broker.listenUrl': optional(url, {
    doc: 'PostgreSQL: where to LISTEN, if the URL is a pooler that cannot. Unset: `results.listenUrl`, if both are one URL.',
  }),
  'broker.prepare': optional(type.boolean, {
    doc: 'PostgreSQL: false: no named prepared statements. Unset: `results.prepare`, if both are one URL.',
  }),
  'broker.credentials': optional(credentials, {
    inEnv: false,
    doc: 'Asked for user and password at each connection and reconnection, instead of what the URL says. Unset: `results.credentials`, if both are one URL.',
  }),
  ...tlsKeys('broker'),

  'results.url': optional(url, {
    short: 'results',
    slot: 'results',
    celery: 'result_backend',
    doc: 'Where results are stored. Unset: where messages are, if that is PostgreSQL. Else, or null: nothing is stored.',
  }),
  'results.backend': optional(type.objectWith<ResultBackend>('a ResultBackend', ['commit', 'find', 'waitFor']), {
    slot: 'results',
    inEnv: false,
    doc: 'A ready result backend instead of a URL; `results` may be set to it directly. Who creates it stops it.',
  }),
  'results.pool': optional(type.objectWith<object>('a pg.Pool', ['query', 'connect']), {
    slot: 'results',
    inEnv: false,
    doc: 'A `pg.Pool` of your own instead of a URL; `results` may be set to it directly. Lovage never ends it.',
  }),
  'results.schema': key(type.schemaName, 'lovage', { doc: 'The PostgreSQL schema of the tables.' }),
  'results.expires': key(type.duration({ min: '1s', max: '36500d' }), '7d', {
    celery: 'result_expires',
    doc: 'How long a finished record is kept.',
  }),
  'results.maxSize': key(type.integer({ min: 1, max: LARGEST_JSONB }), 1_000_000, {
    doc: 'The largest result that is stored, in bytes of JSON. A larger one ends its task FAILURE.',
  }),
  'results.listenUrl': optional(url, {
    doc: 'Where to LISTEN, if the URL is a pooler that cannot (PgBouncer).',
  }),
  'results.prepare': key(type.boolean, true, {
    doc: 'false: no named prepared statements, for a pooler in transaction mode.',
  }),
  'results.poolSize': key(type.integer({ min: 1, max: 1000 }), 4, { doc: 'Connections at most.' }),
  'results.synchronousCommit': key(type.boolean, true, {
    doc: 'false: PostgreSQL says that ends are stored before they are on its disk. Faster where the disk is slow; when the **database server** crashes, tasks of its last second or so are done with and have no record: see [Find and keep results](../how-to/find-results.md#before-it-is-on-disk).',
  }),
  'results.connectTimeout': key(timer, '10s', { doc: 'How long one attempt to connect may take.' }),
  'results.connectRetryFor': key(type.duration({ min: '0s' }), '60s', {
    doc: 'How long a worker tries its first connection; 0: one attempt.',
  }),
  'results.credentials': optional(credentials, {
    inEnv: false,
    doc: 'Asked for user and password at each connection and reconnection, instead of what the URL says. Unset: `broker.credentials`, if both are one URL.',
  }),
  ...tlsKeys('results'),

  defaultQueue: key(type.queueName, 'lovage', {
    celery: 'task_default_queue',
    doc: 'The queue of tasks that neither a route nor their own option sends elsewhere.',
  }),
  queues: record(queues, {
    celery: 'task_queues',
    doc: 'Queues that differ from the default, by name.',
  }),
  routes: record(routes, {
    celery: 'task_routes',
    doc: 'Task name or glob → queue. An exact name comes first, then the first glob that matches.',
  }),

  acceptContent: key(contentTypes, 'application/json', {
    celery: 'accept_content',
    doc: 'Content types of messages that workers read, each of JSON. A message of another goes to `<queue>.dead`.',
  }),
  maxMessageSize: key(type.integer({ min: 1024, max: LARGEST_MESSAGE }), 16 * 2 ** 20, {
    doc: 'The largest body of a message, in bytes: a larger one is an error at the caller, and goes to `<queue>.dead` where it arrives. RabbitMQ 4 takes as much unless told otherwise.',
  }),
  'signing.keys': record(signingKeys, {
    celery: 'security_key',
    doc: 'What messages are signed with, by the id of the key: see [Secure an app](../how-to/secure.md). Never shown.',
  }),
  'signing.signWith': optional(keyId, {
    doc: 'The id of the key that this process signs with. Unset: the only one that can.',
  }),
  'signing.required': key(type.boolean, true, {
    doc: 'false: a message without a signature is read too, while signing is being introduced. One whose signature does not hold never is.',
  }),

  'worker.concurrency': key(type.integer({ min: 1, max: UINT16 }), 100, {
    celery: 'worker_concurrency',
    doc: 'Tasks that run at once on the event loop of one process.',
  }),
  'worker.pool': key(type.oneOf(POOL_NAMES), 'async', {
    celery: 'worker_pool',
    doc: 'Where tasks run that do not say so themselves: on the event loop, or each in a thread.',
  }),
  'worker.threads': optional(type.integer({ min: 1, max: 1024 }), {
    doc: 'Threads of one process, if any task needs them: tasks that run in threads at once. Unset: as many as the machine runs in parallel.',
  }),
  'worker.prefetch': optional(type.integer({ min: 1, max: UINT16 }), {
    celery: 'worker_prefetch_multiplier',
    doc: 'Messages held by one process for each queue. Unset: about as many as it finishes in a second, from 2 × as many as it runs at once up to 2,000, and at most 64 MB.',
  }),
  'worker.queues': optional(type.queueNames, {
    doc: 'The queues to consume. Unset: the default queue, those of the registered tasks, and those in `routes` and `queues`, except queues with `declare: false` that no registered task uses.',
  }),
  'worker.shutdownTimeout': key(type.duration({ min: '0s' }), '25s', {
    celery: 'worker_soft_shutdown_timeout',
    doc: 'How long running tasks may go on once the worker is told to stop.',
  }),
  'worker.unknownTaskGrace': key(type.duration({ min: '0s' }), '10m', {
    doc: 'How long a task that no worker knows waits, and is tried again, before it ends FAILURE: the length of a rolling deploy. Needs results.',
  }),
  'worker.blockedLoopWarning': key(type.duration({ min: '0s' }), '1s', {
    doc: 'How long a task may keep the event loop from turning before the log names it; 0: nobody watches. Read by the `lovage` command.',
  }),
  'worker.maxStarts': key(type.integer({ min: 3, max: 1000 }), 5, {
    doc: 'How often a task that was delivered before is started whose worker dies each time, before it ends FAILURE. From the third start on it runs alone in its process. Needs results.',
  }),
  'worker.trackReceived': key(type.boolean, false, { doc: 'Write RECEIVED when a worker takes a task.' }),
  'worker.trackStarted': key(type.boolean, false, {
    celery: 'task_track_started',
    doc: 'Write STARTED when a task begins.',
  }),

  'revocations.keep': key(type.duration({ min: '1m', max: '36500d' }), '3h', {
    celery: 'CELERY_WORKER_REVOKE_EXPIRES',
    doc: 'How long workers know that a task is revoked: longer than a message waits in its queue. One that comes later runs, and what it returns counts for nothing.',
  }),
  'revocations.grace': key(type.duration({ min: '0s', max: '24d' }), '5s', {
    doc: 'How long a running task that is revoked with `terminate` has to end, once its signal has aborted.',
  }),
} as const satisfies Readonly<Record<string, ConfigKey>>;

export type ConfigPath = keyof typeof CONFIG_KEYS;

/** What Settings hold of one key. */
export type ConfigValue<P extends ConfigPath> = (typeof CONFIG_KEYS)[P]['default'];

export const CONFIG_PATHS = Object.keys(CONFIG_KEYS) as readonly ConfigPath[];

/** Seen as one kind of key, for what treats all alike. */
export function configKey(path: ConfigPath): ConfigKey {
  return CONFIG_KEYS[path];
}

export function isConfigPath(path: string): path is ConfigPath {
  return Object.hasOwn(CONFIG_KEYS, path);
}

/** The names that keys share before their last dot: `broker`, `broker.tls`, … */
export const CONFIG_GROUPS: ReadonlySet<string> = new Set(
  CONFIG_PATHS.flatMap((path) =>
    path
      .split('.')
      .slice(0, -1)
      .map((_, index, parts) => parts.slice(0, index + 1).join('.')),
  ),
);

/** A key's name in the environment: `results.maxSize` under LOVAGE is LOVAGE_RESULTS_MAX_SIZE. */
export function envNameOf(path: string, namespace: string): string {
  const words = path.replace(/\./g, '_').replace(/[a-z0-9](?=[A-Z])/g, '$&_');
  return `${namespace}_${words.toUpperCase()}`;
}
