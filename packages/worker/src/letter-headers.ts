import { HEADER_ROOM, headerSize, type Headers } from '@lovage/core';

/** How many headers that were left out are named. */
const MAX_NAMES = 20;

/**
 * The headers of a dead letter: those that it came with, and those that say why. If they do not all fit, its largest are left out, and
 * `x-lovage-left-out` names them: a letter that no transport can send would be tried for ever.
 */
export function letterHeaders(own: Headers, why: Headers): Headers {
  const leftOut = new Set<string>();
  let room = HEADER_ROOM - headerSize(why);
  for (const [key, size] of sizesOf(own).sort(([, one], [, other]) => one - other)) {
    room -= size;
    if (room < 0) leftOut.add(key);
  }
  if (leftOut.size === 0) return { ...own, ...why };
  const kept = Object.fromEntries(Object.entries(own).filter(([key]) => !leftOut.has(key)));
  return { ...kept, ...why, 'x-lovage-left-out': [...leftOut].slice(0, MAX_NAMES) };
}

function sizesOf(headers: Headers): [string, number][] {
  return Object.entries(headers).map(([key, value]) => [key, 1 + Buffer.byteLength(key) + headerSize(value)]);
}
