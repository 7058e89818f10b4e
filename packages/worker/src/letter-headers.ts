import type { HeaderValue, Headers } from '@lovage/core';

/** Bytes of an AMQP table that every transport can send: amqplib encodes 64 KiB, while other clients send twice that. */
const ROOM = 60_000;
/** Far below what overflows the stack of an encoder. */
const MAX_DEPTH = 100;
/** How many headers that were left out are named. */
const MAX_NAMES = 20;

/**
 * The headers of a dead letter: those that it came with, and those that say why. If they do not all fit, its largest are left out, and
 * `x-lovage-left-out` names them: a letter that no transport can send would be tried for ever.
 */
export function letterHeaders(own: Headers, why: Headers): Headers {
  const leftOut = new Set<string>();
  let room = ROOM - sizeOf(why);
  for (const [key, size] of sizesOf(own).sort(([, one], [, other]) => one - other)) {
    room -= size;
    if (room < 0) leftOut.add(key);
  }
  if (leftOut.size === 0) return { ...own, ...why };
  const kept = Object.fromEntries(Object.entries(own).filter(([key]) => !leftOut.has(key)));
  return { ...kept, ...why, 'x-lovage-left-out': [...leftOut].slice(0, MAX_NAMES) };
}

function sizesOf(headers: Headers): [string, number][] {
  return Object.entries(headers).map(([key, value]) => [key, 1 + Buffer.byteLength(key) + sizeOf(value)]);
}

/** At most how many bytes a value takes in an AMQP table, its type included. */
function sizeOf(value: HeaderValue | undefined, depth = 0): number {
  if (typeof value === 'string') return 5 + Buffer.byteLength(value);
  if (typeof value !== 'object' || value === null) return 9;
  if (depth > MAX_DEPTH) return Infinity;
  const keys = Array.isArray(value) ? 0 : Object.keys(value).reduce((sum, key) => sum + 1 + Buffer.byteLength(key), 0);
  const items: readonly HeaderValue[] = Object.values(value);
  return items.reduce((sum: number, item) => sum + sizeOf(item, depth + 1), 5 + keys);
}
