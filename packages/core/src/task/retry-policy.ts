import { type Duration, isDelay, parseDelay } from '../runtime/duration.js';

/** An error class, or an error's `name` or `code`. */
export type ErrorMatch = (abstract new (...args: never[]) => Error) | string;

/** When a task that threw is run again. Every field but `max` has a default. */
export interface RetryOptions {
  /** How often it is retried at most, 1 to 10,000: it runs once more than this. Default 3. */
  readonly max?: number;
  /** Only errors of these classes, or with such a name or code. Default: every error. */
  readonly for?: readonly ErrorMatch[];
  /** No error of these: stronger than `for`. */
  readonly notFor?: readonly ErrorMatch[];
  /** How long the first retry waits. Default '1s'. */
  readonly backoff?: Duration;
  /** How much longer each further retry waits, at least 1. Default 2. */
  readonly factor?: number;
  /** No retry waits longer. Default '10m', or `backoff` if that is longer. */
  readonly maxDelay?: Duration;
  /** Each wait is drawn between half and all of it, so that tasks that failed together do not come back together. Default true. */
  readonly jitter?: boolean;
}

/** The same, resolved. */
export interface RetryPolicy {
  readonly max: number;
  readonly for: readonly ErrorMatch[] | null;
  readonly notFor: readonly ErrorMatch[];
  readonly backoffMs: number;
  readonly factor: number;
  readonly maxDelayMs: number;
  readonly jitter: boolean;
}

const DEFAULTS = { max: 3, backoff: '1s', factor: 2, maxDelay: '10m', jitter: true } as const;

/** What TaskContext.retry does for a task without a policy of its own. */
export const DEFAULT_RETRY_POLICY: RetryPolicy = retryPolicyOf({});

const MAX_RETRIES = 10_000;
const FIELDS: { readonly [K in keyof Required<RetryOptions>]: (value: unknown) => string | null } = {
  max: (value) =>
    Number.isInteger(value) && (value as number) >= 1 && (value as number) <= MAX_RETRIES
      ? null
      : `an integer from 1 to ${MAX_RETRIES}, for a policy must end`,
  for: matchesProblem,
  notFor: matchesProblem,
  backoff: delayProblem,
  factor: (value) => (typeof value === 'number' && Number.isFinite(value) && value >= 1 ? null : 'a number ≥ 1'),
  maxDelay: delayProblem,
  jitter: (value) => (typeof value === 'boolean' ? null : 'true or false'),
};

/** What is wrong with an option `retry`, as in "expected retry to be …"; null: nothing. */
export function retryProblem(value: unknown): string | null {
  const known = Object.keys(FIELDS).join(', ');
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return `an object of ${known}, such as { max: 5 }`;
  }
  for (const [name, field] of Object.entries(value as Record<string, unknown>)) {
    if (!Object.hasOwn(FIELDS, name)) return `an object of ${known}, without '${name}'`;
    const problem = field === undefined ? null : FIELDS[name as keyof RetryOptions](field);
    if (problem !== null) return `an object whose ${name} is ${problem}`;
  }
  const { backoffMs, maxDelayMs } = retryPolicyOf(value);
  return maxDelayMs < backoffMs ? 'an object whose maxDelay is not below its backoff' : null;
}

/** @param options checked by `retryProblem`. */
export function retryPolicyOf(options: RetryOptions): RetryPolicy {
  const backoffMs = parseDelay(options.backoff ?? DEFAULTS.backoff, 'backoff');
  return Object.freeze({
    max: options.max ?? DEFAULTS.max,
    for: options.for ?? null,
    notFor: options.notFor ?? [],
    backoffMs,
    factor: options.factor ?? DEFAULTS.factor,
    maxDelayMs:
      options.maxDelay === undefined
        ? Math.max(backoffMs, parseDelay(DEFAULTS.maxDelay, 'maxDelay'))
        : parseDelay(options.maxDelay, 'maxDelay'),
    jitter: options.jitter ?? DEFAULTS.jitter,
  });
}

/** The policy says that a task which threw this is to be retried (if it may be, once more). */
export function retries(policy: RetryPolicy, error: unknown): boolean {
  const isOneOf = (matches: readonly ErrorMatch[]): boolean => matches.some((match) => isMatch(match, error));
  return (policy.for === null || isOneOf(policy.for)) && !isOneOf(policy.notFor);
}

/**
 * How long the next retry waits, in whole milliseconds.
 *
 * @param done retries so far.
 * @param random in [0, 1).
 */
export function retryDelay(policy: RetryPolicy, done: number, random: number): number {
  // An exponent that large is Infinity, of which the minimum is taken.
  const delay = Math.min(policy.maxDelayMs, policy.backoffMs * policy.factor ** done);
  return Math.round(policy.jitter ? delay * (0.5 + random / 2) : delay);
}

// What throws when it is looked at matches nothing.
function isMatch(match: ErrorMatch, error: unknown): boolean {
  try {
    if (typeof match !== 'string') return error instanceof match;
    if (typeof error !== 'object' || error === null) return false;
    const { name, code } = error as { readonly name?: unknown; readonly code?: unknown };
    return name === match || code === match;
  } catch {
    return false;
  }
}

function matchesProblem(value: unknown): string | null {
  const isGood =
    Array.isArray(value) &&
    value.length > 0 &&
    value.every((one) => (typeof one === 'string' ? one !== '' : isErrorClass(one)));
  return isGood ? null : 'an array of error classes, or of the names or codes of errors';
}

// By its chain of prototypes, and of any realm: a class under Jest inherits from another Error than ours.
function isErrorClass(value: unknown): boolean {
  const prototype: unknown = typeof value === 'function' ? value.prototype : null;
  return typeof prototype === 'object' && prototype !== null && 'message' in prototype && 'name' in prototype;
}

function delayProblem(value: unknown): string | null {
  return isDelay(value) ? null : "a duration from 0 to 36500d: milliseconds or a string such as '5s'";
}
