import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ERROR_CODES, OUTCOME_STATES, TASK_STATE_TRANSITIONS, errorName, type ErrorCode } from '@lovage/core';

const page = (name: string): string => readFileSync(join(__dirname, '../../docs/reference', name), 'utf8');

/** The cells of every row of a Markdown page whose first cell matches, back-ticks removed. */
function rows(text: string, first: RegExp): string[][] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim().replaceAll('`', '')),
    )
    .filter(([cell]) => first.test(cell ?? ''));
}

describe('the reference pages say what the code says', () => {
  test('errors.md lists every code, its name and meaning, and no other', () => {
    const expected = Object.entries(ERROR_CODES).map(([code, meaning]) => [
      code,
      errorName(code as ErrorCode),
      meaning.replaceAll('`', ''),
    ]);
    expect(rows(page('errors.md'), /^LOVAGE_/).map((row) => row.slice(0, 3))).toEqual(expected);
  });

  test('states.md lists every state with what may follow it', () => {
    const expected = Object.entries(TASK_STATE_TRANSITIONS).map(([state, next]) => [
      state,
      next.length === 0 ? 'nothing: final' : next.join(', '),
    ]);
    expect(rows(page('states.md'), /^[A-Z]+$/).map(([state, , next]) => [state, next])).toEqual(expected);
  });

  test('states.md lists every outcome with the state it leaves', () => {
    const expected = Object.entries(OUTCOME_STATES).map(([outcome, state]) => [outcome, state]);
    expect(
      rows(page('states.md'), /^(success|failure|retry|postponed|revoked)$/).map((row) => row.slice(0, 2)),
    ).toEqual(expected);
  });
});
