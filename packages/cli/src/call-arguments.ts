import { LovageError, expected } from '@lovage/core';

/**
 * One argument of `lovage call`: JSON if it is JSON, else the text itself, so that `42` is a number, `"42"` and `007` and `Ada` are strings. A text that opens
 * like JSON (`{`, `[` or `"`) must be JSON, and a number must fit a double: LOVAGE_USAGE, not a value nobody meant.
 */
export function parseCallArgument(text: string, position: number): unknown {
  const what = `argument ${position + 1}`;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (!/^\s*[{["]/.test(text)) return text;
    throw new LovageError('LOVAGE_USAGE', `${expected(what, 'JSON', text)}. Quote it once for the shell: '{"a": 1}'`, {
      cause: error,
    });
  }
  const exact =
    typeof value !== 'number' || (Number.isFinite(value) && (!Number.isInteger(value) || Number.isSafeInteger(value)));
  if (exact) return value;
  throw new LovageError(
    'LOVAGE_USAGE',
    `${expected(what, 'a number that a double holds exactly', text)}. As text: '"${text}"'`,
  );
}

/** The object of `--kwargs`. Throws LOVAGE_USAGE for anything else. */
export function parseKwargs(text: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new LovageError('LOVAGE_USAGE', expected('--kwargs', `a JSON object such as '{"x": 1}'`, text), {
      cause: error,
    });
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new LovageError('LOVAGE_USAGE', expected('--kwargs', `a JSON object such as '{"x": 1}'`, value));
}
