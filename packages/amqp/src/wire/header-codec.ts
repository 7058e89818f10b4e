import { isUtf8 } from 'node:buffer';
import type { Headers, HeaderValue } from '@lovage/core';

const INT32_MIN = -(2 ** 31);
const INT32_MAX = 2 ** 31 - 1;
const INT64_LIMIT = 2 ** 63;

/** A header table as amqplib encodes it. */
export type EncodedHeaders = Record<string, unknown>;

/**
 * Our headers as amqplib encodes them, every integer with its width named: left to itself, amqplib writes 128 to 32,767 with the tag
 * `s`, which py-amqp before 5.4.0 reads as a short string: a Celery worker would lose its connection and loop on that message. Throws RangeError for NaN and the infinities.
 */
export function encodeHeaders(headers: Headers): EncodedHeaders {
  const encoded: EncodedHeaders = {};
  for (const key of Object.keys(headers)) encoded[key] = encodeValue(headers[key] as HeaderValue);
  return encoded;
}

function encodeValue(value: HeaderValue): unknown {
  if (typeof value === 'number') return encodeNumber(value);
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return (value as readonly HeaderValue[]).map(encodeValue);
  const table = encodeHeaders(value as Headers);
  // An own key '!' is amqplib's way to name a type: behind a prototype it is plain data, as the encoder walks inherited keys too.
  return Object.hasOwn(table, '!') ? Object.create(table) : table;
}

function encodeNumber(value: number): unknown {
  // RabbitMQ cannot read them, and closes the whole connection (541): sent again, such a message would close the next one too.
  if (!Number.isFinite(value)) throw new RangeError(`expected header numbers to be finite, got ${value}`);
  if (!Number.isInteger(value) || Math.abs(value) >= INT64_LIMIT) return { '!': 'double', value };
  return { '!': value >= INT32_MIN && value <= INT32_MAX ? 'int32' : 'int64', value };
}

/** Broker instructions rather than data: they have been followed, and would be again if the message were sent on. */
const ROUTING_HEADERS = ['CC', 'BCC'];

/** True if a header would make the broker send copies to other queues, or close the channel. */
export function hasRoutingHeader(headers: Headers): boolean {
  return ROUTING_HEADERS.some((name) => Object.hasOwn(headers, name));
}

/**
 * What amqplib decoded as our headers, changed in place: byte strings become text (base64 where they are no UTF-8), timestamps seconds
 * since 1970, decimals numbers; what is nested more than 100 deep is null. 64-bit integers beyond 2^53 have lost their last digits already.
 */
export function decodeHeaders(headers: EncodedHeaders | undefined): Headers {
  if (headers === undefined) return {};
  for (const name of ROUTING_HEADERS) if (Object.hasOwn(headers, name)) delete headers[name];
  return decodeTable(headers, 0);
}

/** Deeper than this nothing is read: whoever nests headers deeper wants to overflow a stack. */
const MAX_DEPTH = 100;

function decodeTable(table: EncodedHeaders, depth: number): Headers {
  // A key `__proto__` has become the prototype of this one table: a reader must not find its keys.
  if (Object.getPrototypeOf(table) !== Object.prototype) Object.setPrototypeOf(table, Object.prototype);
  for (const key in table) {
    const value = table[key];
    if (typeof value === 'object' && value !== null) table[key] = decodeObject(value, depth + 1);
  }
  return table as Headers;
}

function decodeObject(value: object, depth: number): HeaderValue {
  if (depth > MAX_DEPTH) return null;
  if (Buffer.isBuffer(value)) return value.toString(isUtf8(value) ? 'utf8' : 'base64');
  if (Array.isArray(value)) {
    return value.map(
      (item: unknown) =>
        (typeof item === 'object' && item !== null ? decodeObject(item, depth + 1) : item) as HeaderValue,
    );
  }
  const tagged = value as { readonly '!'?: unknown; readonly value?: unknown };
  if (tagged['!'] === 'timestamp' && typeof tagged.value === 'number') return tagged.value;
  if (tagged['!'] === 'decimal' && typeof tagged.value === 'object') {
    const { places, digits } = tagged.value as { readonly places: number; readonly digits: number };
    return digits / 10 ** places;
  }
  return decodeTable(value as EncodedHeaders, depth);
}
