import { type OptionCheck, checkOptions } from '../config/check-options.js';
import { isQueueName, queueName } from '../config/config-type.js';
import type { Headers } from '../message/message.js';
import { LovageError } from '../errors/lovage-error.js';
import type { DueTime } from '../outbox/due-time.js';
import { UNIQUE_SCOPES, type TransactionClient, type UniqueClaim, type UniqueScope } from '../outbox/outbox.js';
import { uniqueKey } from '../outbox/unique-key.js';
import { isReservedHeader } from '../message/task-codec.js';
import { isName } from '../payload/name.js';
import { type Duration, isDelay, parseDelay, parseDuration } from '../runtime/duration.js';
import type { Runtime } from '../runtime/runtime.js';
import { timeLimitProblem, timeLimitsProblem } from '../task/time-limits.js';

/** What `with()` sets for the calls that follow. */
export interface CallOptions {
  /** The queue to send to, over every route. */
  readonly queue?: string | undefined;
  /** 0 (lowest) to 255; needs a classic queue with `maxPriority`. */
  readonly priority?: number | undefined;
  /** The task's id, 1 to 255 characters; also the idempotency key: an id that has ended is not run again. Default: a new UUIDv7. */
  readonly id?: string | undefined;
  /** Not to be run after this: a duration from the call on, or an instant. It then ends REVOKED. */
  readonly expires?: Duration | Date | undefined;
  /** Headers of your own, readable in TaskContext.headers. Names that the protocol uses are refused. */
  readonly headers?: Headers | undefined;
  /** Keyword arguments, for tasks that take them (Python, or `params` of @Task). */
  readonly kwargs?: Readonly<Record<string, unknown>> | undefined;
  /** What logs show in place of the task's name. */
  readonly shadow?: string | undefined;
  /** Not to be run before so long from the call on, by the database's clock; at most 36500d. Until then the call is a row of the outbox. */
  readonly countdown?: Duration | undefined;
  /** Not to be run before this instant; a past one is due now. Instead of `countdown`. */
  readonly eta?: Date | undefined;
  /**
   * Your own `pg` client with a transaction open (or anything with its `query`): the call is written as part of that transaction and sent once it
   * has committed. No broker is needed to make it. The tables of `results` must be in that database.
   */
  readonly tx?: TransactionClient | undefined;
  /** true: the record is PENDING from the call on, so that a waiting task can be told from an unknown id. Costs a commit. */
  readonly track?: boolean | undefined;
  /** At most one task at a time for each key: a second call gives the first one's result, and is not sent. */
  readonly unique?: UniqueOptions | undefined;
  /** How long one run may take until it is told to end, in place of the task's own limit; 1 ms to 24d. Python's workers heed it too. */
  readonly softTimeLimit?: Duration | undefined;
  /** How long one run may take until it ends FAILURE, in place of the task's own limit; 1 ms to 24d. Python's workers heed it too. */
  readonly timeLimit?: Duration | undefined;
}

/** How a call is one of a kind. */
export interface UniqueOptions {
  /** What the call is about, such as an account's id; of any length. Keys of different tasks are different. */
  readonly key: string;
  /** Until when a second call is the first: `queued`: a worker has taken it; `running`: it has ended; `finished`: `ttl` after it has ended. */
  readonly scope: UniqueScope;
  /** So long after the call is due (with `finished`: after the end) the key is free whatever happened, so that no lost task blocks it for ever. 1 ms to 36500d. */
  readonly ttl: Duration;
}

/** `later` over `former`. Of countdown and eta the later one holds: they say the same thing in two ways. */
export function mergeCallOptions(former: CallOptions, later: CallOptions): CallOptions {
  const { countdown: _countdown, eta: _eta, ...others } = former;
  const isTimed = later.countdown !== undefined || later.eta !== undefined;
  return isTimed ? { ...others, ...later } : { ...former, ...later };
}

/** Options that a call must be written for, instead of sent. */
export function needsOutbox({ countdown, eta, tx, track, unique }: CallOptions): boolean {
  return countdown !== undefined || eta !== undefined || tx !== undefined || track === true || unique !== undefined;
}

/** When a call is due; null: at once. */
export function dueOf({ countdown, eta }: CallOptions): DueTime | null {
  if (eta !== undefined) return { at: eta };
  return countdown === undefined ? null : { inMs: parseDelay(countdown, 'countdown') };
}

/** What the outbox is told of `unique`. */
export function uniqueClaimOf(task: string, { unique }: CallOptions): UniqueClaim | null {
  if (unique === undefined) return null;
  return { key: uniqueKey(task, unique.key), scope: unique.scope, ttlMs: parseDelay(unique.ttl, 'ttl') };
}

/** Beyond it an ISO date has no four-digit year, and Celery cannot read it. */
const LATEST = Date.UTC(9999, 11, 31);

const CHECKS = {
  queue: (value: unknown) => (isQueueName(value) ? null : queueName.expectation),
  priority: (value: unknown) =>
    Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 255 ? null : 'an integer from 0 to 255',
  id: (value: unknown) => (isName(value) ? null : 'a string of 1 to 255 characters'),
  expires: (value: unknown) =>
    isExpiry(value) ? null : "a duration ≥ 0 such as '5m', or a valid Date before the year 9999",
  headers: (value: unknown) => (isRecord(value) ? headersProblem(value) : 'an object of header values'),
  kwargs: (value: unknown) => (isRecord(value) ? null : 'an object of arguments by name'),
  shadow: (value: unknown) => (isName(value) ? null : 'a string of 1 to 255 characters'),
  countdown: (value: unknown) => (isDelay(value) ? null : "a duration from 0 to 36500d, such as '5m'"),
  eta: (value: unknown) =>
    value instanceof Date && value.getTime() < LATEST ? null : 'a valid Date before the year 9999',
  tx: clientProblem,
  track: (value: unknown) => (typeof value === 'boolean' ? null : 'true or false'),
  unique: uniqueProblem,
  softTimeLimit: timeLimitProblem,
  timeLimit: timeLimitProblem,
} satisfies { readonly [K in keyof Required<CallOptions>]: OptionCheck };

/** Checks what `with()` is given; throws LOVAGE_USAGE naming the option. */
export function checkCallOptions(options: CallOptions): void {
  checkOptions(options, 'with()', { checks: CHECKS, code: 'LOVAGE_USAGE' });
  if (options.countdown !== undefined && options.eta !== undefined) {
    throw new LovageError('LOVAGE_USAGE', 'with(): expected countdown or eta, got both: the one that is meant stays');
  }
  const limits = timeLimitsProblem(options);
  if (limits !== null) throw new LovageError('LOVAGE_USAGE', `with(): ${limits}`);
}

/** The instant after which a call made now is not to be run; null: none. */
export function expiryOf(options: CallOptions, runtime: Runtime): Date | null {
  if (options.expires === undefined) return null;
  if (options.expires instanceof Date) return options.expires;
  return new Date(runtime.now() + parseDuration(options.expires, 'expires'));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isExpiry(value: unknown): boolean {
  if (value instanceof Date) return value.getTime() < LATEST;
  try {
    return Date.now() + parseDuration(value, 'expires') < LATEST;
  } catch {
    return false;
  }
}

function clientProblem(value: unknown): string | null {
  const expectation = 'a pg client with an open transaction (a Client, or what pool.connect() gives)';
  const { query, totalCount } = (value ?? {}) as { readonly query?: unknown; readonly totalCount?: unknown };
  if (typeof query !== 'function') return expectation;
  // Each query of a pg.Pool may go to another connection, so it holds no transaction.
  return typeof totalCount === 'number' ? `${expectation}, not a Pool` : null;
}

function uniqueProblem(value: unknown): string | null {
  const expectation = `an object { key, scope, ttl }, such as { key: 'account-42', scope: 'running', ttl: '10m' }`;
  if (!isRecord(value)) return expectation;
  const { key, scope, ttl, ...others } = value;
  const [other] = Object.keys(others);
  if (other !== undefined) return `${expectation}, without '${other}'`;
  if (typeof key !== 'string' || key === '') return `${expectation}, whose key is a string that is not empty`;
  if (!(UNIQUE_SCOPES as readonly unknown[]).includes(scope)) {
    return `${expectation}, whose scope is ${UNIQUE_SCOPES.map((one) => `'${one}'`).join(', ')}`;
  }
  if (ttl === undefined)
    return `${expectation}, with a ttl: without one, a task that is lost would hold the key for ever`;
  return isDelay(ttl) && parseDelay(ttl, 'ttl') >= 1
    ? null
    : `${expectation}, whose ttl is a duration from 1 ms to 36500d`;
}

function headersProblem(headers: Record<string, unknown>): string | null {
  const taken = Object.keys(headers).find(isReservedHeader);
  return taken === undefined ? null : `an object without the reserved header '${taken}'`;
}
