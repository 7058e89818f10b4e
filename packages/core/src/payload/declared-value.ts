import { types } from 'node:util';
import type { BuiltInType, DtoClass, ValueType } from '../task/task-definition.js';
import { parseIsoDate } from './iso-date.js';

/** What a declared built-in type makes of a value received. */
interface BuiltInCheck {
  /** For messages: `a number`. */
  readonly words: string;
  readonly accepts: (value: unknown) => boolean;
  /** Reads the form in which producers without Lovage's tags send it; the value itself if it is no such form. */
  readonly convert?: (value: unknown) => unknown;
}

const CHECKS: ReadonlyMap<unknown, BuiltInCheck> = new Map<unknown, BuiltInCheck>([
  [String, { words: 'a string', accepts: (value) => typeof value === 'string' }],
  [Number, { words: 'a number', accepts: (value) => typeof value === 'number' }],
  [Boolean, { words: 'a boolean', accepts: (value) => typeof value === 'boolean' }],
  [BigInt, { words: 'a bigint', accepts: (value) => typeof value === 'bigint', convert: bigintOf }],
  [Date, { words: 'a Date or an ISO 8601 string', accepts: (value) => types.isDate(value), convert: dateOf }],
  [Array, { words: 'an array', accepts: (value) => Array.isArray(value) }],
  [Map, { words: 'a Map', accepts: (value) => types.isMap(value) }],
  [Set, { words: 'a Set', accepts: (value) => types.isSet(value) }],
  [Uint8Array, { words: 'a Uint8Array', accepts: (value) => types.isUint8Array(value) }],
  [Buffer, { words: 'a Buffer', accepts: (value) => Buffer.isBuffer(value) }],
]);

/** A declared class that class-transformer revives: not one of the language's own, of which some are checked and the rest let through. */
export function isDto(type: ValueType['type']): type is DtoClass {
  return !CHECKS.has(type) && !/\{\s*\[native code\]\s*\}\s*$/.test(Function.prototype.toString.call(type));
}

/** The value as the declared built-in type wants it: an ISO string becomes a Date. Anything it does not know how to read stays. */
export function convertBuiltIn(type: BuiltInType | DtoClass, value: unknown): unknown {
  return CHECKS.get(type)?.convert?.(value) ?? value;
}

/** What the value should have been (`a number`), or null if it is that; undefined and null always are. */
export function builtInMismatch(type: BuiltInType | DtoClass, value: unknown): string | null {
  const check = CHECKS.get(type);
  return check === undefined || value === undefined || value === null || check.accepts(value) ? null : check.words;
}

function dateOf(value: unknown): unknown {
  return typeof value === 'string' ? (parseIsoDate(value) ?? value) : value;
}

function bigintOf(value: unknown): unknown {
  return typeof value === 'number' && Number.isSafeInteger(value) ? BigInt(value) : value;
}
