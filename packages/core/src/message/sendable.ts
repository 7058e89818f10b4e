import type { HeaderValue, Message } from './message.js';

/** Bytes of a header table that every transport can send, with room for what is added on the way: amqplib encodes 64 KiB. */
export const HEADER_ROOM = 60_000;
/** Far below what overflows the stack of an encoder. */
const MAX_HEADER_DEPTH = 100;
/** What is wrong with the size of a body; null: nothing. */
export function bodyProblem({ body }: Message, maxSize: number): string | null {
  return body.length <= maxSize
    ? null
    : `expected its body to have at most ${maxSize} bytes (maxMessageSize), got ${body.length}: store large values elsewhere and send their name`;
}

/** Why no broker would take these headers; null: nothing is known against them. Asked before a message is written that is to be sent later: nobody could be told then. */
export function headersProblem({ headers }: Message): string | null {
  const size = headerSize(headers);
  if (size === Infinity) return `expected its headers to be nested at most ${MAX_HEADER_DEPTH} deep`;
  return size > HEADER_ROOM ? `expected its headers to take at most ${HEADER_ROOM} bytes, got ${size}` : null;
}

/** At most how many bytes a header's value takes in an AMQP table, its type included; Infinity: it is nested too deep to be encoded. */
export function headerSize(value: HeaderValue | undefined): number {
  return sizeOf(value, 0);
}

function sizeOf(value: HeaderValue | undefined, depth: number): number {
  if (typeof value === 'string') return 5 + Buffer.byteLength(value);
  if (typeof value !== 'object' || value === null) return 9;
  if (depth > MAX_HEADER_DEPTH) return Infinity;
  const keys = Array.isArray(value) ? 0 : Object.keys(value).reduce((sum, key) => sum + 1 + Buffer.byteLength(key), 0);
  const items: readonly HeaderValue[] = Object.values(value);
  return items.reduce((sum: number, item) => sum + sizeOf(item, depth + 1), 5 + keys);
}
