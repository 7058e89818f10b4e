import { sanitizeJson, sanitizeText, unstorableReason } from './storable.js';

const table: [string, string, string | null][] = [
  ['plain text', 'grün \ud83d\ude00', null],
  ['a NUL', 'a\0b', 'a string in it holds a NUL character (\\u0000)'],
  ['a backslash before u0000', 'a\\u0000', null],
  ['a backslash before a NUL', 'a\\\0', 'a string in it holds a NUL character (\\u0000)'],
  ['a lone high surrogate', '\ud800x', 'a string in it holds a lone surrogate (\\ud800)'],
  ['a lone low surrogate', 'x\udfff', 'a string in it holds a lone surrogate (\\udfff)'],
  ['surrogates in the wrong order', '\udc00\ud800', 'a string in it holds a lone surrogate (\\udc00)'],
  ['other control characters', '\u0001\u001f\n', null],
];

describe('storable JSON', () => {
  it.each(table)('judges %s', (_name, text, reason) => {
    expect(unstorableReason(JSON.stringify({ a: [text] }))).toBe(reason);
    expect(unstorableReason(JSON.stringify({ [text]: 1 }))).toBe(reason);
  });

  it.each(table)('sanitizes %s, alike as text and as JSON', (_name, text, reason) => {
    const sanitized = sanitizeText(text);
    expect(sanitized).toHaveLength(text.length);
    expect(sanitizeJson(JSON.stringify(text))).toBe(JSON.stringify(sanitized));
    expect(unstorableReason(JSON.stringify(sanitized))).toBeNull();
    if (reason === null) expect(sanitized).toBe(text);
  });

  it('knows escaped pairs, as other languages write them', () => {
    expect(unstorableReason('"\\ud83d\\ude00"')).toBeNull();
    expect(sanitizeJson('"\\uD83D\\uDE00\\uD83D"')).toBe('"\\uD83D\\uDE00\ufffd"');
    expect(unstorableReason('"\\ud83d\\ud83d\\ude00"')).toContain('lone surrogate');
  });
});
