/** A JSON escape: a pair of surrogates, or `\uXXXX`, or any other (taken whole, so that `\\u0000` is not read as `\u0000`). */
const ESCAPES = /\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\[^u]/g;
const BAD_ESCAPE = /^\\u(?:0000|[dD][89a-fA-F][0-9a-fA-F]{2})$/;
/** Says of nearly every text, and fast, that there is nothing to replace. */
const SUSPECT = /[\u0000\ud800-\udfff]/; // eslint-disable-line no-control-regex -- NUL is what is looked for
/** With the `u` flag a surrogate matches only where it stands alone. */
const LONE_SURROGATE = /\p{Surrogate}/gu;

/**
 * Why PostgreSQL's jsonb would refuse this JSON text (a NUL or a lone surrogate in a string), as words for a message; null: it takes it.
 * The text is one that JSON.stringify or `encodeWire` made.
 */
export function unstorableReason(json: string): string | null {
  if (!json.includes('\\u')) return null;
  for (const [escape] of json.matchAll(ESCAPES)) {
    if (!BAD_ESCAPE.test(escape)) continue;
    return escape === '\\u0000'
      ? 'a string in it holds a NUL character (\\u0000)'
      : `a string in it holds a lone surrogate (${escape})`;
  }
  return null;
}

/** The text with every NUL and lone surrogate replaced by U+FFFD: what PostgreSQL's text takes. */
export function sanitizeText(text: string): string {
  if (!SUSPECT.test(text)) return text;
  return text.replaceAll('\0', '\ufffd').replace(LONE_SURROGATE, '\ufffd');
}

/** The same for JSON text: what jsonb takes. */
export function sanitizeJson(json: string): string {
  if (!json.includes('\\u')) return json;
  return json.replace(ESCAPES, (escape) => (BAD_ESCAPE.test(escape) ? '\ufffd' : escape));
}
