import { type OptionCheck, checkOptions } from '../config/check-options.js';
import { isQueueName, queueName } from '../config/config-type.js';
import type { Headers } from '../message/message.js';
import { isReservedHeader } from '../message/task-codec.js';
import { isName } from '../payload/name.js';
import { type Duration, parseDuration } from '../runtime/duration.js';
import type { Runtime } from '../runtime/runtime.js';

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
} satisfies { readonly [K in keyof Required<CallOptions>]: OptionCheck };

/** Checks what `with()` is given; throws LOVAGE_USAGE naming the option. */
export function checkCallOptions(options: CallOptions): void {
  checkOptions(options, 'with()', { checks: CHECKS, code: 'LOVAGE_USAGE' });
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

function headersProblem(headers: Record<string, unknown>): string | null {
  const taken = Object.keys(headers).find(isReservedHeader);
  return taken === undefined ? null : `an object without the reserved header '${taken}'`;
}
