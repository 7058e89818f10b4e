import { type ConnectionTarget, type ErrorCode, LovageError, isLovageError, tlsAdvice } from '@lovage/core';
import { RESERVED } from '../partitions/reserved.js';

/**
 * What an error of pg means for what was asked.
 * - `row`: a value that the database cannot store: the rows beside it are fine;
 * - `conflict`: undone for another transaction's sake (deadlock, serialization): to be tried again at once;
 * - `locked`: another transaction holds a lock for too long;
 * - `lost`: the connection could not be made, or broke: what was asked may or may not have happened;
 * - `unavailable`: connected, but it cannot do it now (out of connections, disk full, read-only, shutting down);
 * - `refused`, `schema`, `config`: trying again does not help.
 */
export type DatabaseFailure = 'row' | 'conflict' | 'locked' | 'lost' | 'unavailable' | 'refused' | 'schema' | 'config';

/** SQLSTATE, by its longest prefix here (PostgreSQL, appendix A). */
const BY_SQLSTATE: Readonly<Record<string, DatabaseFailure>> = {
  '08': 'lost',
  '21': 'row',
  '22': 'row',
  '23': 'row',
  '26': 'config', // a named statement is gone: see `hintOf`
  '28': 'refused',
  '3D': 'schema',
  '3F': 'schema',
  '40': 'conflict',
  '42': 'schema',
  '42501': 'refused',
  '42P05': 'config',
  '54': 'row',
  '55P03': 'locked',
  '57P': 'lost',
};

const BY_NODE_CODE: Readonly<Record<string, DatabaseFailure>> = {
  ERR_INVALID_URL: 'config',
  ENOENT: 'config', // a file of TLS material named in the URL
  EACCES: 'config',
  ERR_STRING_TOO_LONG: 'row',
};

/** Errors that pg raises without a code. */
const BY_MESSAGE: readonly (readonly [RegExp, DatabaseFailure])[] = [
  [/^The server does not support SSL/, 'config'],
  [/^SASL/, 'refused'],
  [/^URI malformed/, 'config'], // a % in the URL that is no escape
  [/^Invalid string length/, 'row'],
  [/^timeout exceeded when trying to connect/, 'unavailable'], // every pooled connection was busy for that long
];

const CHECK_VIOLATION = '23514';

/** What is the case where a database of that kind cannot be reached, or cannot do it now. */
export const UNAVAILABLE = {
  broker: 'LOVAGE_BROKER_UNAVAILABLE',
  results: 'LOVAGE_RESULTS_UNAVAILABLE',
} as const satisfies Record<ConnectionTarget, ErrorCode>;

const NOT_STORABLE = {
  broker: 'LOVAGE_PUBLISH',
  results: 'LOVAGE_RESULT_NOT_STORABLE',
} as const satisfies Record<ConnectionTarget, ErrorCode>;

const CODES = {
  refused: 'LOVAGE_ACCESS_REFUSED',
  schema: 'LOVAGE_SCHEMA',
  config: 'LOVAGE_CONFIG',
} as const satisfies Partial<Record<DatabaseFailure, ErrorCode>>;

export function failureOf(error: unknown): DatabaseFailure {
  const sqlState = sqlStateOf(error);
  if (sqlState === CHECK_VIOLATION) return checkFailureOf(error);
  if (sqlState !== null)
    return (
      BY_SQLSTATE[sqlState] ?? BY_SQLSTATE[sqlState.slice(0, 3)] ?? BY_SQLSTATE[sqlState.slice(0, 2)] ?? 'unavailable'
    );
  const { code, message } = error as { readonly code?: unknown; readonly message?: unknown };
  const known = typeof code === 'string' ? BY_NODE_CODE[code] : undefined;
  if (known !== undefined) return known;
  if (tlsAdvice(error, 'results') !== null) return 'config';
  return BY_MESSAGE.find(([pattern]) => pattern.test(String(message)))?.[1] ?? 'lost';
}

/** PostgreSQL's own code of an error, also where what wraps the user's client has wrapped the error; null: it has none. */
export function sqlStateOf(error: unknown): string | null {
  return serverErrorOf(error)?.code ?? null;
}

interface ServerError {
  readonly code: string;
  /** Which constraint was violated, if it has a name. */
  readonly constraint?: string;
}

function serverErrorOf(error: unknown): ServerError | null {
  for (let depth = 0, one = error; depth < 5 && typeof one === 'object' && one !== null; depth += 1) {
    const { code, cause } = one as { readonly code?: unknown; readonly cause?: unknown };
    // A severity tells it from Node's codes, such as EPIPE.
    if (typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) && 'severity' in one)
      return one as unknown as ServerError;
    one = cause;
  }
  return null;
}

/** A row that a partition refuses was on its way there when another one was attached; one of an id that is reserved has to wait until its partition is there. */
function checkFailureOf(error: unknown): DatabaseFailure {
  const { constraint } = serverErrorOf(error) as ServerError;
  if (constraint === undefined) return 'conflict';
  return constraint.startsWith(RESERVED) ? 'locked' : 'row';
}

/** The coded error for one of pg's; one of ours passes as it is. `url` is shown, and must be masked. */
export function databaseError(error: unknown, url: string, target: ConnectionTarget = 'results'): LovageError {
  if (isLovageError(error)) return error;
  // pg-pool wraps what kept a client from connecting in time.
  const { cause } = error as { readonly cause?: unknown };
  if (isLovageError(cause)) return cause;
  const failure = failureOf(error);
  const code =
    failure === 'row'
      ? NOT_STORABLE[target]
      : failure in CODES
        ? CODES[failure as keyof typeof CODES]
        : UNAVAILABLE[target];
  const what = failure === 'row' ? 'the database cannot store it' : `PostgreSQL at ${url}`;
  return new LovageError(code, `${what}: ${messageOf(error)}${hintOf(error, failure, target)}`, { cause: error });
}

/** A connection refused on both addresses of `localhost` is an AggregateError without a message. */
function messageOf(error: unknown): string {
  const { code, errors, message } = error as { code?: unknown; errors?: readonly Error[]; message?: string };
  const text = message || errors?.map((one) => one.message).join(', ') || String(error);
  return typeof code === 'string' && !text.includes(code) ? `${text} (${code})` : text;
}

function hintOf(error: unknown, failure: DatabaseFailure, target: ConnectionTarget): string {
  const { code } = error as { readonly code?: unknown };
  const advice = tlsAdvice(error, target);
  if (advice !== null) return `: ${advice}`;
  if (/^The server does not support SSL/.test((error as Error).message))
    return `: leave out ${target}.tls and sslmode, or set ssl = on in the server`;
  if (/no encryption$/.test((error as Error).message))
    return `; if it wants TLS, set ${target}.tls.caFile, or sslmode=verify-full in the URL`;
  if (failure === 'locked' && sqlStateOf(error) === CHECK_VIOLATION) return '; its partition is being made';
  if (failure === 'locked') return '; another transaction has been open on it for too long';
  if (code === '3D000') return '; create the database, then run `lovage migrate -A <app>`';
  if (code === '26000' || code === '42P05')
    return `; behind a pooler in transaction mode set ${target}.prepare to false`;
  if (failure === 'config' && (error as Error).name === 'URIError')
    return '; write a % of its user name, password or database as %25';
  if (failure === 'schema') return '; run `lovage migrate -A <app>`';
  return '';
}
