import { inspect, types } from 'node:util';
import type { ErrorRecord } from '../results/task-record.js';
import { sanitizeText } from './storable.js';

/** The longest each part may be, in UTF-16 units, and how many causes are followed. */
const LIMITS = { type: 255, code: 255, message: 64_000, stack: 32_000, causes: 5, folded: 10 } as const;

/** The type of a record made from something thrown that is no error. */
const NON_ERROR = 'NonError';

const BUILT_IN: ReadonlyMap<string, new (message: string) => Error> = new Map([
  ['Error', Error],
  ['EvalError', EvalError],
  ['RangeError', RangeError],
  ['ReferenceError', ReferenceError],
  ['SyntaxError', SyntaxError],
  ['TypeError', TypeError],
  ['URIError', URIError],
]);

/**
 * Describes whatever was thrown as JSON that every store takes: no NUL, no lone surrogate, message at most 64,000 and stack at most
 * 32,000 characters, causes five deep. An AggregateError's errors are named in the message, and the first is the cause if it has none.
 * What is no error has the type `NonError` and itself (a string) or its `util.inspect` as message. Never throws, whatever it is given.
 */
export function encodeError(thrown: unknown): ErrorRecord {
  try {
    return describe(thrown, LIMITS.causes);
  } catch {
    return { type: NON_ERROR, message: 'something was thrown that cannot be read', stack: null };
  }
}

/**
 * Makes an error again: of the built-in class for a built-in name, else an Error with that name; with the recorded message, stack (of the
 * process where it was thrown), code and causes.
 */
export function reviveError(record: ErrorRecord): Error {
  const error = new (BUILT_IN.get(record.type) ?? Error)(record.message);
  // As the built-in errors have them: not enumerable.
  if (error.name !== record.type) define(error, 'name', record.type);
  define(error, 'stack', record.stack ?? `${record.type}: ${record.message}`);
  if (record.cause !== undefined) define(error, 'cause', reviveError(record.cause));
  return record.code === undefined ? error : Object.assign(error, { code: record.code });
}

function describe(thrown: unknown, causes: number): ErrorRecord {
  if (!isErrorLike(thrown)) return { type: NON_ERROR, message: messageOfNonError(thrown), stack: null };
  const stack = read(thrown, 'stack');
  const code = read(thrown, 'code');
  const errors = read(thrown, 'errors');
  const folded: readonly unknown[] = Array.isArray(errors) ? errors : [];
  const cause = read(thrown, 'cause') ?? folded[0];
  return {
    type: typeOf(thrown),
    message: clip(messageOf(thrown) + foldedText(folded), LIMITS.message),
    stack: typeof stack === 'string' ? clip(stack, LIMITS.stack) : null,
    ...(typeof code === 'string' || typeof code === 'number' ? { code: clip(String(code), LIMITS.code) } : {}),
    ...(cause === undefined || cause === null || causes === 0 ? {} : { cause: describe(cause, causes - 1) }),
  };
}

/** Not `instanceof` alone: an error may come from another realm (Jest), or from a library that only imitates one. */
function isErrorLike(thrown: unknown): thrown is object {
  if (typeof thrown !== 'object' || thrown === null) return false;
  if (types.isNativeError(thrown)) return true;
  return typeof read(thrown, 'message') === 'string' && typeof read(thrown, 'name') === 'string';
}

/** The error's name; for a class that has not set one (`class Declined extends Error {}`) the class's own. */
function typeOf(error: object): string {
  const name = read(error, 'name');
  if (typeof name === 'string' && name !== '' && name !== 'Error') return clip(name, LIMITS.type);
  const constructor = read(error, 'constructor');
  const className = typeof constructor === 'function' ? read(constructor, 'name') : undefined;
  return typeof className === 'string' && className !== '' && className !== 'Object'
    ? clip(className, LIMITS.type)
    : 'Error';
}

function messageOf(error: object): string {
  const message = read(error, 'message');
  if (typeof message === 'string') return message;
  return message === undefined ? '' : inspected(message);
}

function messageOfNonError(thrown: unknown): string {
  return clip(typeof thrown === 'string' ? thrown : inspected(thrown), LIMITS.message);
}

function foldedText(errors: readonly unknown[]): string {
  if (errors.length === 0) return '';
  const shown = errors.slice(0, LIMITS.folded).map((error) => {
    const { type, message } = describe(error, 0);
    return `${type}: ${clip(message, 1_000)}`;
  });
  const more = errors.length > shown.length ? `; and ${errors.length - shown.length} more` : '';
  return ` (${errors.length} ${errors.length === 1 ? 'error' : 'errors'}: ${shown.join('; ')}${more})`;
}

/** Never runs code of the value's own: proxies are seen through and custom inspection is off. */
function inspected(value: unknown): string {
  try {
    return inspect(value, {
      customInspect: false,
      getters: false,
      depth: 3,
      maxArrayLength: 20,
      maxStringLength: 2_000,
    });
  } catch {
    return `a thrown ${typeof value}`;
  }
}

/** A property, or undefined if its getter or a proxy throws. */
function read(value: object, key: string): unknown {
  try {
    return (value as Record<string, unknown>)[key];
  } catch {
    return undefined;
  }
}

function clip(text: string, length: number): string {
  return sanitizeText(text.length <= length ? text : `${text.slice(0, length - 1)}…`);
}

function define(error: Error, key: string, value: unknown): void {
  Object.defineProperty(error, key, { value, configurable: true, writable: true, enumerable: false });
}
