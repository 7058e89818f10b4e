import { LovageError } from '../errors/lovage-error.js';
import { MAX_NESTING } from './wire-value.js';

/** A string (kept), or a number as JSON or Python writes it. The string part has no nested repetition, so long texts cost no stack. */
const TOKENS = /"[^"\\]*(?:\\[^][^"\\]*)*"|-?Infinity|NaN|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

export interface ParseOptions {
  /** Integers that a JavaScript number cannot hold exactly become `bigint` tags. For texts that JavaScript did not write. Default false. */
  readonly exactIntegers?: boolean;
}

/**
 * Parses JSON text into wire values (tags still in place). Accepts what Python writes beyond JSON, unquoted NaN and ±Infinity, as
 * `float` tags. Throws LOVAGE_MESSAGE, naming `what`, if it is not JSON or nests deeper than a message may.
 */
export function parseJson(text: string, what: string, options: ParseOptions = {}): unknown {
  // One level more than a value may have: the message's own array.
  if (nestsDeeper(text, MAX_NESTING + 1)) {
    throw new LovageError('LOVAGE_MESSAGE', `expected ${what} to nest at most ${MAX_NESTING} levels deep`);
  }
  const prepared = options.exactIntegers === true && /\d{16}/.test(text) ? tagNumbers(text) : text;
  try {
    return JSON.parse(prepared);
  } catch (error) {
    if (!/NaN|Infinity/.test(text)) throw notJson(what, error);
  }
  try {
    return JSON.parse(tagNumbers(text));
  } catch (error) {
    throw notJson(what, error);
  }
}

function notJson(what: string, error: unknown): LovageError {
  return new LovageError('LOVAGE_MESSAGE', `expected ${what} to be JSON: ${(error as Error).message}`, {
    cause: error,
  });
}

function tagNumbers(text: string): string {
  return text.replace(TOKENS, (token) => {
    if (token.startsWith('"')) return token;
    if (token.endsWith('y') || token === 'NaN') return `{"__type__":"float","__value__":"${token}"}`;
    if (token.length < 16 || !/^-?\d+$/.test(token)) return token;
    // Beyond 1.8e308 the nearest number is infinite, of which there is no BigInt.
    const nearest = Number(token);
    const isExact = Number.isFinite(nearest) && BigInt(token) === BigInt(nearest);
    return isExact ? token : `{"__type__":"bigint","__value__":"${token}"}`;
  });
}

/** V8's JSON.parse reads any depth, what comes after it does not. A short text cannot be deep, so the hot path ends at once. */
function nestsDeeper(text: string, limit: number): boolean {
  if (text.length <= 2 * limit) return false;
  let depth = 0;
  for (let index = 0; index < text.length; index++) {
    switch (text.charCodeAt(index)) {
      case 0x22:
        index = endOfString(text, index);
        break;
      case 0x5b:
      case 0x7b:
        if (++depth > limit) return true;
        break;
      case 0x5d:
      case 0x7d:
        depth--;
        break;
    }
  }
  return false;
}

/** The index of the quote that ends the string which begins at `start`. */
function endOfString(text: string, start: number): number {
  let index = start + 1;
  while (index < text.length && text.charCodeAt(index) !== 0x22) index += text.charCodeAt(index) === 0x5c ? 2 : 1;
  return index;
}
