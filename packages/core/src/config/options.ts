import type { KeyObject } from 'node:crypto';
import type { ResultBackend } from '../results/result-backend.js';
import type { Duration } from '../runtime/duration.js';
import type { PoolName } from '../task/pool-name.js';
import type { Transport } from '../transport/transport.js';
import type { CredentialsProvider } from './credentials.js';

/**
 * An app's configuration as users write it: every key may be absent. docs/reference/configuration.md lists the keys with their
 * defaults and their names in the environment. A wrong key or value throws LOVAGE_CONFIG, which names all that is wrong.
 */
export interface LovageOptions {
  /** The app's name, shown in banners, connections and logs. Default 'lovage'. */
  readonly name?: string;
  /** One URL, several hosts of one cluster, a ready transport (who creates it stops it), or the group of broker options. */
  readonly broker?: string | readonly string[] | Transport | BrokerConfig;
  /** A URL, a ready backend or `pg.Pool` (who creates it stops it), or the group of results options. null: nothing is stored. Default: the broker's URL if that is PostgreSQL's, else null. */
  readonly results?: string | ResultBackend | PoolLike | ResultsConfig | null;
  /** The queue of tasks that nothing sends elsewhere. Default 'lovage'. */
  readonly defaultQueue?: string;
  /** Queues that differ from the default (quorum, declared by Lovage), by name. */
  readonly queues?: Readonly<Record<string, QueueConfig>>;
  /** Task name or glob (`billing.*`) → queue. An exact name comes first, then the first glob that matches. */
  readonly routes?: Readonly<Record<string, string>>;
  /** Content types of messages that workers read; each must be JSON's. Default ['application/json'], which must be among them. */
  readonly acceptContent?: string | readonly string[];
  /** The largest body of a message that is sent or read, in bytes. Default 16,777,216. */
  readonly maxMessageSize?: number;
  /** Keys that messages are signed with. Default: messages are not signed. */
  readonly signing?: SigningConfig;
  readonly worker?: WorkerConfig;
  readonly revocations?: RevocationsConfig;
}

export interface BrokerConfig {
  readonly url?: string | readonly string[];
  /** A transport of the user's own, instead of `url`. */
  readonly transport?: Transport;
  /** Default '30s'. */
  readonly heartbeat?: Duration;
  /** Default '10s'. */
  readonly connectTimeout?: Duration;
  /** How long a worker tries its first connection. Default '60s'. */
  readonly connectRetryFor?: Duration;
  /** How long `delay` waits for the broker's word. Default '10s'. */
  readonly publishTimeout?: Duration;
  /** Messages that may be unconfirmed at once. Default 1000. */
  readonly confirmWindow?: number;
  /** RabbitMQ: its own `consumer_timeout`, if that is not the default. Default '30m'. */
  readonly consumerTimeout?: Duration;
  /** PostgreSQL: the schema of the tables. Default: that of the results. */
  readonly schema?: string | null;
  /** PostgreSQL: where to LISTEN, if `url` is a pooler that cannot. Default: as of results with the same URL. */
  readonly listenUrl?: string | null;
  /** PostgreSQL: false: no named prepared statements. Default: as of results with the same URL, else true. */
  readonly prepare?: boolean | null;
  /** Asked for user and password at each connection and reconnection, instead of what the URL says. Default: as of results with the same URL. */
  readonly credentials?: CredentialsProvider | null;
  readonly tls?: TlsConfig;
}

export interface ResultsConfig {
  readonly url?: string;
  /** A result backend of the user's own, instead of `url`. */
  readonly backend?: ResultBackend;
  /** A `pg.Pool` of the user's own, instead of `url`. */
  readonly pool?: PoolLike;
  /** The PostgreSQL schema of the tables. Default 'lovage'. */
  readonly schema?: string;
  /** How long a finished record is kept. Default '7d'. */
  readonly expires?: Duration;
  /** The largest result that is stored, in bytes of JSON. Default 1,000,000. */
  readonly maxSize?: number;
  /** Where to LISTEN, if `url` is a pooler that cannot. */
  readonly listenUrl?: string | null;
  /** false: no named prepared statements (a pooler in transaction mode). Default true. */
  readonly prepare?: boolean;
  /** Connections at most. Default 4. */
  readonly poolSize?: number;
  /** Default '10s'. */
  readonly connectTimeout?: Duration;
  /** How long a worker tries its first connection. Default '60s'. */
  readonly connectRetryFor?: Duration;
  /** Asked for user and password at each connection and reconnection, instead of what the URL says. Default: as of a broker with the same URL. */
  readonly credentials?: CredentialsProvider | null;
  readonly tls?: TlsConfig;
}

/** TLS material: file names of PEM files. */
export interface TlsConfig {
  readonly caFile?: string | null;
  readonly certFile?: string | null;
  readonly keyFile?: string | null;
  /** The name that the server's certificate must bear, if not the host's. */
  readonly serverName?: string | null;
}

/** How messages are signed and verified. No key is ever shown in a log or an error. */
export interface SigningConfig {
  /** By id (at most 31 letters, digits, '_', '.' and '-', beginning with a letter or digit): a secret text of at least 32 bytes (HMAC-SHA256), or an Ed25519 key: private, or public where it only verifies. */
  readonly keys?: Readonly<Record<string, string | KeyObject>>;
  /** The id of the key that this process signs with. Default: the only one that can. */
  readonly signWith?: string | null;
  /** false: a message without a signature is read too, while signing is being introduced. Default true. */
  readonly required?: boolean;
}

export interface QueueConfig {
  /** Default 'quorum'. */
  readonly type?: 'quorum' | 'classic';
  /** 1 to 255, only for type 'classic'. Default null: no priorities. */
  readonly maxPriority?: number | null;
  /** false: the queue belongs to somebody else and is never declared. Default true. */
  readonly declare?: boolean;
}

export interface WorkerConfig {
  /** Tasks that run at once on the event loop of one process. Default 100. */
  readonly concurrency?: number;
  /** Where tasks run that do not say so themselves: on the event loop, or each in a thread. Default 'async'. */
  readonly pool?: PoolName;
  /** Threads of one process, if any task needs them. Default null: as many as the machine runs in parallel. */
  readonly threads?: number | null;
  /** Deliveries held for each queue. Default null: about as many as are finished in a second, from 2 × as many as run at once up to 2,000, and at most 64 MB. */
  readonly prefetch?: number | null;
  /** The queues to consume. Default null: all that the app knows of. */
  readonly queues?: string | readonly string[] | null;
  /** How long running tasks may go on once the worker is told to stop. Default '25s'. */
  readonly shutdownTimeout?: Duration;
  /** How long a task that no worker knows is tried again before it ends FAILURE. Default '10m'. */
  readonly unknownTaskGrace?: Duration;
  /** How long a task may keep the event loop from turning before the log names it; 0: nobody watches. Default '1s'. */
  readonly blockedLoopWarning?: Duration;
  /** How often a task that was delivered before is started whose worker dies each time, before it ends FAILURE: 3 to 1,000. Default 5. */
  readonly maxStarts?: number;
  /** Write RECEIVED when a worker takes a task. Default false. */
  readonly trackReceived?: boolean;
  /** Write STARTED when a task begins. Default false. */
  readonly trackStarted?: boolean;
}

export interface RevocationsConfig {
  /** How long workers know that a task is revoked. Default '3h'. */
  readonly keep?: Duration;
  /** How long a running task has to end that is revoked with `terminate`. Default '5s'. */
  readonly grace?: Duration;
}

/** What a `pg.Pool` looks like from here; the driver knows the rest. */
export interface PoolLike {
  query(...args: never[]): unknown;
  connect(...args: never[]): unknown;
}
