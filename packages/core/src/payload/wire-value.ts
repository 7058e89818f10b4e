import { types } from 'node:util';
import { LovageError, isLovageError, show } from '../errors/lovage-error.js';
import { isoText, parseIsoDate } from './iso-date.js';

/** How deep JSON may nest, on both ends: PostgreSQL's jsonb and recursive readers stay far from their limits. */
export const MAX_NESTING = 1000;

/** RabbitMQ's own largest message up to 3.13 (16 MiB from 4.0 on): nothing larger can travel. */
const MAX_BYTES = 128 * 1024 * 1024;

/** The two keys of a tag, Celery's (kombu's): an object with exactly these two, the first a string, is a tag. */
const TYPE = '__type__';
const VALUE = '__value__';

export interface WireOptions {
  /** Names the value in errors, such as `args`: the path starts with it. */
  readonly what: string;
  /** The longest JSON, in bytes of UTF-8. Default 128 MiB. */
  readonly maxBytes?: number;
}

/**
 * Writes a value as JSON text that `reviveWire` turns back. Beyond JSON's own types, tags carry: Date (`datetime`), Uint8Array and Buffer
 * (`base64`), bigint, Map, Set, NaN and ±Infinity (`float`); an object that looks like a tag is wrapped in one (`object`).
 * The rest is as JSON.stringify has it: toJSON is called, properties that are undefined are left out, in arrays they become null, class
 * instances become plain objects. `undefined` itself becomes null.
 *
 * Throws LOVAGE_PAYLOAD, naming the path (`args[0].items[3].cb`), for functions, symbols, promises, invalid dates, cycles, JSON nested
 * deeper than 1,000, and more than `maxBytes` (before it has built much more than that).
 */
export function encodeWire(value: unknown, options: WireOptions): string {
  const limit = options.maxBytes ?? MAX_BYTES;
  try {
    const size = measurePlain(value, 0, limit);
    if (size > limit) throw tooLarge(options.what, limit);
    const text = size === NOT_PLAIN ? new WireWriter(options.what, limit).write(value) : JSON.stringify(value ?? null);
    if (text.length * 3 > limit && Buffer.byteLength(text) > limit) throw tooLarge(options.what, limit);
    return text;
  } catch (error) {
    if (isLovageError(error)) throw error;
    // A getter, a proxy or a toJSON of the user's that threw.
    throw new LovageError('LOVAGE_PAYLOAD', `${options.what}: the value could not be read: ${reason(error)}`, {
      cause: error,
    });
  }
}

/**
 * Turns tags back into values; everything else stays as it is. Takes parsed JSON, never changes it, and copies only what holds a tag.
 * Python's `date` becomes a Date at midnight UTC, `datetime` without an offset is UTC, `bytes` and `base64` become a Buffer, `uuid`,
 * `decimal` and `time` a string. A tag of an unknown type, or with a value that does not fit it, stays a plain object.
 */
export function reviveWire(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return reviveArray(value);
  const object = value as Record<string, unknown>;
  if (object[TYPE] !== undefined && isTag(object)) {
    const revived = reviveTag(object[TYPE], object[VALUE]);
    if (revived !== NOT_A_TAG) return revived;
  }
  return reviveProperties(object);
}

const NOT_PLAIN = -1;

/**
 * The hot path: at least how many characters the JSON will have, if JSON.stringify alone can write this value, else NOT_PLAIN.
 * Stops as soon as it is over the limit. Measured on `[1, 2]` and on a 20-field order, this walk costs less than JSON.stringify itself.
 */
function measurePlain(value: unknown, depth: number, limit: number): number {
  switch (typeof value) {
    case 'string':
      return value.length + 2;
    case 'number':
      return Number.isFinite(value) && !Object.is(value, -0) ? 1 : NOT_PLAIN;
    case 'boolean':
      return 4;
    case 'undefined':
      return 0;
    case 'object':
      if (value === null) return 4;
      if (depth >= MAX_NESTING) return NOT_PLAIN;
      return Array.isArray(value) ? measureArray(value, depth, limit) : measureObject(value, depth, limit);
    default:
      return NOT_PLAIN;
  }
}

function measureArray(array: readonly unknown[], depth: number, limit: number): number {
  if (Object.getPrototypeOf(array) !== Array.prototype) return NOT_PLAIN;
  let total = 2;
  for (let index = 0; index < array.length && total <= limit + 1; index++) {
    const size = measurePlain(array[index], depth + 1, limit - total);
    if (size === NOT_PLAIN) return NOT_PLAIN;
    total += size + 1;
  }
  return total - 1;
}

function measureObject(object: object, depth: number, limit: number): number {
  const prototype: unknown = Object.getPrototypeOf(object);
  if (prototype !== Object.prototype && prototype !== null) return NOT_PLAIN;
  let total = 2;
  for (const key in object) {
    if (key === TYPE) return NOT_PLAIN;
    const value = (object as Record<string, unknown>)[key];
    if (value === undefined) continue;
    const size = measurePlain(value, depth + 1, limit - total);
    if (size === NOT_PLAIN) return NOT_PLAIN;
    total += size + key.length + 4;
    if (total > limit + 1) break;
  }
  return total - 1;
}

/** The thorough way: writes JSON with tags, knows its path, and sees cycles. Used once; an error leaves it as it is. */
class WireWriter {
  readonly #what: string;
  readonly #limit: number;
  readonly #path: (string | number)[] = [];
  readonly #ancestors = new Set<object>();
  #depth = 0;
  #size = 0;

  constructor(what: string, limit: number) {
    this.#what = what;
    this.#limit = limit;
  }

  write(value: unknown): string {
    return this.#value(value) ?? 'null';
  }

  /** undefined for what JSON leaves out. `asked`: it is what a toJSON returned, whose own toJSON JSON.stringify does not call. */
  #value(value: unknown, asked = false): string | undefined {
    switch (typeof value) {
      case 'undefined':
        return undefined;
      case 'string':
        return this.#count(JSON.stringify(value));
      case 'number':
        return this.#number(value);
      case 'boolean':
        return this.#count(String(value));
      case 'bigint':
        return this.#tag('bigint', `"${value}"`);
      case 'function':
        throw this.#refuse('a function cannot travel');
      case 'symbol':
        throw this.#refuse('a symbol cannot travel');
      case 'object':
        return value === null ? this.#count('null') : this.#object(value, asked);
    }
  }

  #number(value: number): string {
    // A literal that JSON.parse and Python both read as minus zero; a tag would be an error to a Python worker.
    if (Object.is(value, -0)) return this.#count('-0.0');
    return Number.isFinite(value) ? this.#count(String(value)) : this.#tag('float', `"${value}"`);
  }

  #object(value: object, asked: boolean): string | undefined {
    if (types.isDate(value)) return this.#date(value);
    if (types.isUint8Array(value)) return this.#bytes(value);
    if (types.isBoxedPrimitive(value)) return this.#value(value.valueOf());
    if (types.isPromise(value)) throw this.#refuse('a promise cannot travel: await it first');
    if (types.isAnyArrayBuffer(value) || ArrayBuffer.isView(value)) {
      throw this.#refuse('of binary data only Uint8Array and Buffer can travel: wrap it in a Uint8Array');
    }
    const levels = types.isMap(value) ? 3 : types.isSet(value) ? 2 : 1;
    this.#enter(value, levels);
    const json = this.#nested(value, asked);
    this.#ancestors.delete(value);
    this.#depth -= levels;
    return json;
  }

  #nested(value: object, asked: boolean): string | undefined {
    if (types.isMap(value)) return this.#tag('map', this.#items([...value]));
    if (types.isSet(value)) return this.#tag('set', this.#items([...value]));
    if (!asked && hasToJson(value)) {
      const json = value.toJSON(String(this.#path.at(-1) ?? ''));
      if (json !== value) return this.#value(json, true);
    }
    return Array.isArray(value) ? this.#items(value) : this.#properties(value);
  }

  #enter(value: object, levels: number): void {
    if (this.#ancestors.has(value)) throw this.#refuse('a cycle cannot travel');
    this.#ancestors.add(value);
    this.#depth += levels;
    if (this.#depth > MAX_NESTING) throw this.#refuse(`nesting deeper than ${MAX_NESTING} levels cannot travel`);
  }

  #date(date: Date): string {
    if (Number.isNaN(date.getTime())) throw this.#refuse('an invalid Date cannot travel');
    return this.#tag('datetime', `"${isoText(date)}"`);
  }

  #bytes(bytes: Uint8Array): string {
    if ((bytes.byteLength / 3) * 4 > this.#limit - this.#size) throw tooLarge(this.#what, this.#limit);
    return this.#tag('base64', `"${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')}"`);
  }

  #items(items: readonly unknown[]): string {
    let text = '';
    for (let index = 0; index < items.length; index++) {
      this.#path.push(index);
      const json = this.#value(items[index]) ?? this.#count('null');
      this.#path.pop();
      text += index === 0 ? json : `,${json}`;
    }
    return `[${text}]`;
  }

  #properties(object: object): string {
    let text = '';
    let count = 0;
    let tagKeys = 0;
    for (const key of Object.keys(object)) {
      const value = (object as Record<string, unknown>)[key];
      // The method that has just been asked: what it returned may be a copy that still holds it.
      if (key === 'toJSON' && typeof value === 'function') continue;
      this.#path.push(key);
      const json = this.#value(value);
      this.#path.pop();
      if (json === undefined) continue;
      text += `${count === 0 ? '' : ','}${this.#count(JSON.stringify(key))}:${json}`;
      count++;
      if ((key === TYPE && json.startsWith('"')) || key === VALUE) tagKeys++;
    }
    return tagKeys === 2 && count === 2 ? this.#tag('object', `{${text}}`) : `{${text}}`;
  }

  #tag(type: string, json: string): string {
    // What is inside has been counted, or (of a string) is counted roughly: the exact check comes at the end.
    this.#count(type);
    return `{"${TYPE}":"${type}","${VALUE}":${json}}`;
  }

  #count(text: string): string {
    this.#size += text.length + 1;
    // One more than the text has: a lower bound all the same, as each value but the outermost has a comma, colon or bracket.
    if (this.#size - 1 > this.#limit) throw tooLarge(this.#what, this.#limit);
    return text;
  }

  #refuse(why: string): LovageError {
    // A cycle's path may be long: its beginning tells enough.
    const shown = this.#path.slice(0, 20).map(pathStep).join('');
    return new LovageError('LOVAGE_PAYLOAD', `${this.#what}${shown}${this.#path.length > 20 ? '…' : ''}: ${why}`);
  }
}

function pathStep(step: string | number): string {
  return typeof step === 'string' && /^[A-Za-z_$][\w$]*$/.test(step) ? `.${step}` : `[${JSON.stringify(step)}]`;
}

/** True for an object that says itself what its JSON is. */
export function hasToJson(value: object): value is { toJSON(key?: string): unknown } {
  return 'toJSON' in value && typeof value.toJSON === 'function';
}

function tooLarge(what: string, limit: number): LovageError {
  return new LovageError('LOVAGE_PAYLOAD', `${what}: its JSON is larger than ${limit} bytes`);
}

function reason(error: unknown): string {
  try {
    return error instanceof Error ? error.message : show(error);
  } catch {
    return 'an unknown error';
  }
}

const NOT_A_TAG = Symbol('not a tag');

function isTag(object: Record<string, unknown>): object is { [TYPE]: string; [VALUE]: unknown } {
  return typeof object[TYPE] === 'string' && Object.hasOwn(object, VALUE) && Object.keys(object).length === 2;
}

/** A Map, as a type's name comes from the network: `constructor` must find nothing. */
const REVIVERS: ReadonlyMap<string, (value: unknown) => unknown> = new Map([
  ['datetime', ifText((text) => parseIsoDate(text) ?? NOT_A_TAG)],
  ['date', ifText((text) => parseIsoDate(text) ?? NOT_A_TAG)],
  ['time', ifText((text) => text)],
  ['decimal', ifText((text) => text)],
  ['uuid', reviveUuid],
  ['bytes', ifText((text) => Buffer.from(text, 'utf8'))],
  ['base64', ifText((text) => Buffer.from(text, 'base64'))],
  ['bigint', ifText((text) => (/^-?\d+$/.test(text) ? BigInt(text) : NOT_A_TAG))],
  ['float', ifText((text) => FLOATS.get(text) ?? NOT_A_TAG)],
  ['map', (value) => (isEntries(value) ? new Map(reviveArray(value) as [unknown, unknown][]) : NOT_A_TAG)],
  ['set', (value) => (Array.isArray(value) ? new Set(reviveArray(value)) : NOT_A_TAG)],
  ['object', (value) => (isObject(value) ? reviveProperties(value) : NOT_A_TAG)],
]);

const FLOATS: ReadonlyMap<string, number> = new Map([
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
  ['-0', -0],
]);

function reviveTag(type: string, value: unknown): unknown {
  const revive = REVIVERS.get(type);
  return revive === undefined ? NOT_A_TAG : revive(value);
}

function ifText(revive: (text: string) => unknown): (value: unknown) => unknown {
  return (value) => (typeof value === 'string' ? revive(value) : NOT_A_TAG);
}

/** kombu sends `{"hex": "32 digits"}`. */
function reviveUuid(value: unknown): unknown {
  const hex = isObject(value) ? value['hex'] : value;
  const match = typeof hex === 'string' ? /^(.{8})-?(.{4})-?(.{4})-?(.{4})-?(.{12})$/.exec(hex) : null;
  return match === null ? NOT_A_TAG : match.slice(1).join('-');
}

function reviveArray(array: readonly unknown[]): unknown[] {
  let copy: unknown[] | undefined;
  for (let index = 0; index < array.length; index++) {
    const revived = reviveWire(array[index]);
    if (revived !== array[index]) (copy ??= array.slice())[index] = revived;
  }
  return copy ?? (array as unknown[]);
}

function reviveProperties(object: Record<string, unknown>): Record<string, unknown> {
  let copy: Record<string, unknown> | undefined;
  for (const key in object) {
    const value = object[key];
    if (typeof value !== 'object' || value === null) continue;
    const revived = reviveWire(value);
    // The spread makes `__proto__` a property of the copy's own, so that this assignment changes that and no prototype.
    if (revived !== value) (copy ??= { ...object })[key] = revived;
  }
  return copy ?? object;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isEntries(value: unknown): value is [unknown, unknown][] {
  return Array.isArray(value) && value.every((entry) => Array.isArray(entry) && entry.length === 2);
}
