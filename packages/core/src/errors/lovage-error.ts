/** Marks our errors across two copies of the package, where `instanceof` would fail. */
const BRAND = Symbol.for('lovage.error');

/**
 * Every error that Lovage raises, with what it means. The code is stable: programs may compare it.
 * docs/reference/errors.md renders this table and a test holds the two together.
 */
export const ERROR_CODES = {
  LOVAGE_CONFIG: 'A configuration key or value is wrong.',
  LOVAGE_TASK_DEFINITION: 'A class is not a valid task, or two tasks share a name.',
  LOVAGE_DISCOVERY: 'A task module could not be found or imported.',
  LOVAGE_APP_NOT_FOUND: 'The app that -A names could not be found or imported.',
  LOVAGE_NOT_REGISTERED: 'No task of that name is registered in this app.',
  LOVAGE_ARGUMENTS: 'The arguments of a call do not fit the task.',
  LOVAGE_PAYLOAD: 'A value cannot travel in a message (a cycle, a function, nesting too deep).',
  LOVAGE_MESSAGE: 'A message is not a readable task message.',
  LOVAGE_MESSAGE_LOST: 'The broker took a message out of its queue before any worker had ended its task.',
  LOVAGE_RESULT_NOT_STORABLE:
    'A result or a message cannot be stored (too large, or not representable in the database).',
  LOVAGE_DRIVER: 'No driver is installed for a URL, or it cannot do what was asked.',
  LOVAGE_ACCESS_REFUSED: 'The broker or the database refused the credentials or the permission.',
  LOVAGE_BROKER_UNAVAILABLE: 'The broker could not be reached in time.',
  LOVAGE_RESULTS_UNAVAILABLE: 'The result backend could not be reached in time.',
  LOVAGE_PUBLISH: 'The broker did not take a message.',
  LOVAGE_UNROUTABLE: 'The broker has no queue of that name.',
  LOVAGE_QUEUE_MISMATCH: 'A queue exists with other arguments than configured.',
  LOVAGE_SCHEMA: 'The database schema is missing, older or newer than the code.',
  LOVAGE_RESULTS_NOT_CONFIGURED: 'This needs a result backend and the app has none.',
  LOVAGE_RESULT_IGNORED: 'The task ignores its result, so there is none to wait for.',
  LOVAGE_RESULT_TIMEOUT: 'The task did not finish in the time given. It may still finish.',
  LOVAGE_GET_INSIDE_TASK: 'Waiting for a result inside a task can deadlock the workers.',
  LOVAGE_TASK_FAILED: "The task ended FAILURE; `cause` is the task's own error.",
  LOVAGE_TASK_REVOKED: 'The task ended REVOKED: it expired, or was revoked.',
  LOVAGE_SOFT_TIME_LIMIT: 'A task is told to end: it has run longer than its softTimeLimit.',
  LOVAGE_TIME_LIMIT: 'A task ran longer than its timeLimit, and was ended without having its say.',
  LOVAGE_THREAD_DIED: 'The thread that ran a task ended before the task had: process.exit(), or no memory left.',
  LOVAGE_POISON: 'A task was started several times, and each time its worker died before it had ended.',
  LOVAGE_RETRIES_EXHAUSTED: 'A task asked to be retried more often than it may be.',
  LOVAGE_TRANSACTION_REQUIRED: 'with({ tx }) was given a connection on which no transaction is open.',
  LOVAGE_NO_CONTEXT: 'TaskContext.current() was called outside a running task.',
  LOVAGE_STOPPED: 'The app, worker or connection was used after it had been stopped.',
  LOVAGE_USAGE: 'A function was called with a value that it does not take.',
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

export interface LovageErrorOptions {
  /** What caused it; kept as the standard `cause`. */
  readonly cause?: unknown;
  /** Facts for programs, such as the ids of calls that were not sent. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/**
 * The one family of errors that Lovage raises. `code` says which; `name` is the code's name in CamelCase with `Error`
 * (LOVAGE_RESULT_TIMEOUT → ResultTimeoutError). The message says what, where and what to do, and holds no password.
 *
 * @example
 * try { await result.get({ timeout: '1s' }); } catch (error) {
 *   if (isLovageError(error, 'LOVAGE_RESULT_TIMEOUT')) { … }
 * }
 */
export class LovageError extends Error {
  readonly code: ErrorCode;
  /** Facts for programs, where there are any; which ones, the throwing function's docs say. */
  declare readonly details?: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, options: LovageErrorOptions = {}) {
    super(message, options);
    this.code = code;
    if (options.details !== undefined) this.details = options.details;
    // On the instance, as the built-in errors' subclasses cannot share one prototype name.
    Object.defineProperty(this, 'name', { value: errorName(code), configurable: true, writable: true });
    Object.defineProperty(this, BRAND, { value: true });
  }
}

/** LOVAGE_RESULT_TIMEOUT → ResultTimeoutError. */
export function errorName(code: ErrorCode): string {
  const words = code.slice('LOVAGE_'.length).toLowerCase().split('_');
  return `${words.map((word) => word[0]?.toUpperCase() + word.slice(1)).join('')}Error`;
}

/** True for an error of this family, from whichever copy of the package; with `code`, only for that one. */
export function isLovageError(error: unknown, code?: ErrorCode): error is LovageError {
  if (typeof error !== 'object' || error === null || !(BRAND in error)) return false;
  return code === undefined || (error as unknown as LovageError).code === code;
}

/** `expected <what> to be <expectation>, got <value>`: the one form of a message about a bad value. */
export function expected(what: string, expectation: string, value: unknown): string {
  return `expected ${what} to be ${expectation}, got ${show(value)}`;
}

/** A short rendering of a value for a message: at most 80 characters, never a call of the value's own code. */
export function show(value: unknown): string {
  if (typeof value === 'string') return clip(JSON.stringify(value));
  if (typeof value === 'bigint') return clip(`${value}n`);
  if (typeof value === 'function') return value.name === '' ? 'a function' : clip(`function ${value.name}`);
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === 'object' && value !== null) return 'an object';
  return clip(String(value));
}

function clip(text: string): string {
  return text.length <= 80 ? text : `${text.slice(0, 79)}…`;
}
