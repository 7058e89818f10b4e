import type { KeyObject } from 'node:crypto';
import type { ResultBackend } from '../results/result-backend.js';
import type { PoolName } from '../task/pool-name.js';
import type { Transport } from '../transport/transport.js';
import type { CredentialsProvider } from './credentials.js';

/** An app's whole configuration, resolved: every key present, every duration in milliseconds. Immutable. */
export interface Settings {
  /** The app's name, shown in banners, connections and logs. */
  readonly name: string;
  /** The queue of tasks that neither a route nor their own option sends elsewhere. */
  readonly defaultQueue: string;
  /** Queues that differ from the default, by name. */
  readonly queues: Readonly<Record<string, QueueSettings>>;
  /** Task name or glob (`billing.*`) → queue; the first that matches wins. */
  readonly routes: Readonly<Record<string, string>>;
  /** Content types of messages that are read, in lower case; each is JSON's. */
  readonly acceptContent: readonly string[];
  /** The largest body of a message that is sent or read, in bytes. */
  readonly maxMessageSize: number;
  /** null: messages are not signed. */
  readonly signing: SigningSettings | null;
  readonly broker: BrokerSettings;
  /** null: nothing is stored. */
  readonly results: ResultsSettings | null;
  readonly worker: WorkerSettings;
  readonly revocations: RevocationsSettings;
}

/** The keys are objects that show nothing of themselves, wherever they are printed. */
export interface SigningSettings {
  /** What signatures may be made with, by the key's id: secrets (HMAC-SHA256) and Ed25519 keys. */
  readonly keys: Readonly<Record<string, KeyObject>>;
  /** The id of the key that this process signs with; null: it can only verify. */
  readonly signWith: string | null;
  /** false: a message without a signature is read too. */
  readonly required: boolean;
}

export interface QueueSettings {
  readonly type: 'quorum' | 'classic';
  readonly maxPriority: number | null;
  readonly declare: boolean;
}

export interface BrokerSettings {
  /** One URL, or several hosts of one cluster, tried in turn. */
  readonly urls: readonly string[];
  /** A transport handed in by the user; then `urls` is empty. Who creates it stops it. */
  readonly transport: Transport | null;
  readonly heartbeatMs: number;
  readonly connectTimeoutMs: number;
  /** How long a worker tries its first connection. */
  readonly connectRetryForMs: number;
  /** How long `delay` waits for the broker's word, a first connection included. */
  readonly publishTimeoutMs: number;
  /** RabbitMQ alone: how long it leaves a delivery unacknowledged (its `consumer_timeout`). */
  readonly consumerTimeoutMs: number;
  /** How many messages may be unconfirmed at once; more wait. */
  readonly confirmWindow: number;
  /** PostgreSQL alone: the schema of the tables. */
  readonly schema: string;
  /** PostgreSQL alone: where to LISTEN, if the URL is a pooler that cannot. null: the URL. */
  readonly listenUrl: string | null;
  /** PostgreSQL alone; false: no named prepared statements (a pooler in transaction mode). */
  readonly prepare: boolean;
  /** Asked at each connection, instead of what the URLs say; null: they say it. */
  readonly credentials: CredentialsProvider | null;
  /** TLS material, as node:tls takes it; file names of PEM files. For `amqps` and `postgres` URLs. */
  readonly tls: TlsSettings | null;
}

export interface TlsSettings {
  readonly caFile: string | null;
  readonly certFile: string | null;
  readonly keyFile: string | null;
  /** The name the server's certificate must bear, if not the host's. */
  readonly serverName: string | null;
}

export interface ResultsSettings {
  /** Empty when a backend or a pool is handed in. */
  readonly url: string;
  /** A backend handed in by the user. Who creates it stops it. */
  readonly backend: ResultBackend | null;
  /** A `pg.Pool` of the user's own (the driver checks its shape); never ended by Lovage. */
  readonly pool: unknown;
  /** The PostgreSQL schema of the tables. */
  readonly schema: string;
  /** How long a finished record is kept. */
  readonly expiresMs: number;
  /** The largest result that is stored, in bytes of JSON. */
  readonly maxSize: number;
  /** Where to LISTEN, if `url` is a pooler that cannot (PgBouncer). null: `url`. */
  readonly listenUrl: string | null;
  /** false: no named prepared statements (a pooler in transaction mode). */
  readonly prepare: boolean;
  /** Connections at most. */
  readonly poolSize: number;
  /** PostgreSQL; false: an end that causes nothing more counts as committed before it is on disk. */
  readonly synchronousCommit: boolean;
  readonly connectTimeoutMs: number;
  readonly connectRetryForMs: number;
  /** Asked at each connection, instead of what the URLs say; null: they say it. */
  readonly credentials: CredentialsProvider | null;
  readonly tls: TlsSettings | null;
}

export interface WorkerSettings {
  /** Tasks that run at once on the event loop of one process. */
  readonly concurrency: number;
  /** Where tasks run that do not say so themselves. */
  readonly pool: PoolName;
  /** Threads of one process; null: as many as the machine runs in parallel. */
  readonly threads: number | null;
  /** Deliveries held by one process for each queue; null: about as many as it finishes in a second. */
  readonly prefetch: number | null;
  /** The queues to consume; null: the default queue, those of the registered tasks, and those in `routes` and `queues`, but not somebody else's (`declare: false`) that no registered task uses. */
  readonly queues: readonly string[] | null;
  /** How long running tasks may go on once the worker is told to stop. */
  readonly shutdownTimeoutMs: number;
  /** How long a task that no worker knows is tried again before it ends FAILURE. */
  readonly unknownTaskGraceMs: number;
  /** How long a task may keep the event loop from turning before the log names it; 0: nobody watches. */
  readonly blockedLoopWarningMs: number;
  /** How often a task that was delivered before is started whose worker dies each time. */
  readonly maxStarts: number;
  /** Write RECEIVED when a worker takes a task. */
  readonly trackReceived: boolean;
  /** Write STARTED when a task begins. */
  readonly trackStarted: boolean;
}

export interface RevocationsSettings {
  /** How long a revocation is kept, and known to workers. */
  readonly keepMs: number;
  /** How long a running task has to end that is revoked with `terminate`. */
  readonly graceMs: number;
}
