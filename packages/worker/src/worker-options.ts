import type { LastWords } from './loop/loop-block.js';
import { availableParallelism } from 'node:os';
import {
  LovageError,
  expected,
  parseDuration,
  type Duration,
  type PoolName,
  type Settings,
  type TaskLogger,
} from '@lovage/core';

/** Where a worker's tasks log to. A winston logger is one. */
export interface WorkerLogger extends TaskLogger {
  child(meta: object): TaskLogger;
}

/** Where a thread finds the app, which it loads for itself. */
export interface AppSource {
  /** As `-A`: the path of the module that exports the app, from the working directory, and after a colon the export's name if it has one of its own. */
  readonly app: string;
  /** The absolute path of a CommonJS module whose export `createLoader()` gives what imports the app and its tasks. Default: Node's own `import()`. */
  readonly loader?: string;
}

/** What a worker does otherwise than the app's configuration says. */
export interface WorkerOptions {
  /** Tasks that run at once on the event loop. At least 1. Default: `worker.concurrency`. */
  readonly concurrency?: number;
  /** Where tasks run that do not say so themselves. Default: `worker.pool`. */
  readonly pool?: PoolName;
  /** Tasks that run in threads at once, 1 to 1,024. Default: `worker.threads`. */
  readonly threads?: number;
  /** Needed where any task runs in a thread. */
  readonly source?: AppSource;
  /** Deliveries held for each queue, 1 to 65,535. Default: `worker.prefetch`, or else about as many as are finished in a second. */
  readonly prefetch?: number;
  /** The queues to consume. Default: `worker.queues`, or else all that the app knows of. */
  readonly queues?: readonly string[];
  /** How long running tasks may go on after `stop`, at most 24d. Default: `worker.shutdownTimeout`. */
  readonly shutdownTimeout?: Duration;
  /** How long the first connections are tried, in milliseconds; 0: one attempt. Default: `broker.connectRetryFor`, `results.connectRetryFor`. */
  readonly retryForMs?: number;
  /** What processes that must be killed have left behind: committed before anything is consumed. Default: nothing. */
  readonly lastWords?: readonly LastWords[];
  /** What `TaskContext.log` writes to. Default: a text logger to standard error at level info. */
  readonly logger?: WorkerLogger;
}

/** A worker that is ready: what a banner shows. URLs are masked. */
export interface WorkerInfo {
  /** `<app>@<host>:<pid>`. */
  readonly name: string;
  readonly app: string;
  readonly broker: string;
  /** null: nothing is stored. */
  readonly results: string | null;
  readonly queues: readonly string[];
  readonly concurrency: number;
  /** Where tasks run that do not say so themselves. */
  readonly pool: PoolName;
  /** How many threads there are; null: no task needs any. */
  readonly threads: number | null;
  /** null: about as many as are finished in a second. */
  readonly prefetch: number | null;
  /** The names of the tasks it runs. */
  readonly tasks: readonly string[];
}

export interface StopOptions {
  /** true: running tasks are given no more time than it takes to hear that they must end. */
  readonly now?: boolean;
  /** Told in the event `worker:stopping`, such as 'SIGTERM'. */
  readonly reason?: string;
}

export interface StopReport {
  /** Tasks that were running when `stop` was called, and ended in time. */
  readonly finished: number;
  /** Tasks that ran, or whose outcome could not be stored, when time was up: handed back to their queues, to run again. */
  readonly abandoned: number;
  /** Tasks that had not started: handed back to their queues. */
  readonly returned: number;
  /** Tasks that have ended, but whose code was told so in vain and still runs: it ends with the process. */
  readonly strays: number;
}

/** A worker's numbers, resolved. */
export interface WorkerLimits {
  readonly concurrency: number;
  readonly pool: PoolName;
  readonly threads: number;
  readonly prefetch: number | null;
  readonly shutdownTimeoutMs: number;
}

const MAX_PREFETCH = 65_535;
const MAX_THREADS = 1_024;
/** A longer timer fires at once in Node. */
const LONGEST_TIMER_MS = 24 * 24 * 3_600_000;

/** @throws LOVAGE_USAGE for a number that cannot be. */
export function resolveLimits(options: WorkerOptions, { worker }: Settings): WorkerLimits {
  const concurrency = atLeastOne(options.concurrency ?? worker.concurrency, 'concurrency', Number.MAX_SAFE_INTEGER);
  const pool = options.pool ?? worker.pool;
  const threads = atLeastOne(options.threads ?? worker.threads ?? availableParallelism(), 'threads', MAX_THREADS);
  const prefetch = options.prefetch ?? worker.prefetch;
  return {
    concurrency,
    pool,
    threads,
    prefetch: prefetch === null ? null : atLeastOne(prefetch, 'prefetch', MAX_PREFETCH),
    shutdownTimeoutMs:
      options.shutdownTimeout === undefined ? worker.shutdownTimeoutMs : timerOf(options.shutdownTimeout),
  };
}

// As the configuration checks it.
function timerOf(value: Duration): number {
  const ms = parseDuration(value, 'shutdownTimeout');
  if (ms <= LONGEST_TIMER_MS) return ms;
  throw new LovageError('LOVAGE_USAGE', expected('shutdownTimeout', 'a duration of at most 24d', value));
}

function atLeastOne(value: number, what: string, most: number): number {
  if (Number.isInteger(value) && value >= 1 && value <= most) return value;
  const range = most === Number.MAX_SAFE_INTEGER ? 'an integer ≥ 1' : `an integer from 1 to ${most}`;
  throw new LovageError('LOVAGE_USAGE', expected(what, range, value));
}
