import { letterHeaders } from './letter-headers.js';

const WHY = { 'x-lovage-reason': 'unknown' };

function nested(depth: number): object {
  let table: object = {};
  for (let level = 0; level < depth; level++) table = { table };
  return table;
}

describe('the headers of a dead letter', () => {
  it('are those that it came with, and why it is dead', () => {
    const own = { id: 'a', list: [1, 'two', null, true, { three: 3 }], text: 'x'.repeat(50_000) };
    expect(letterHeaders(own, WHY)).toEqual({ ...own, ...WHY });
  });

  it.each<[string, object]>([
    ['of 60,000 bytes', { big: 'x'.repeat(60_000) }],
    ['of 30,000 characters of two bytes', { big: 'é'.repeat(30_000) }],
    ['of 12,000 numbers', { big: Array.from({ length: 12_000 }, () => 1) }],
    ['of 300 tables', { big: Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`${i}`, ['x'.repeat(200)]])) }],
    ['that nests too deep to be encoded', { big: nested(3_000) }],
  ])('are without one %s, which is named', (_what, own) => {
    expect(letterHeaders({ id: 'a', ...own, task: 't' }, WHY)).toEqual({
      id: 'a',
      task: 't',
      ...WHY,
      'x-lovage-left-out': ['big'],
    });
  });

  it('keep the small ones', () => {
    const own = { one: 'x'.repeat(40_000), two: 'x'.repeat(30_000), three: 'x'.repeat(20_000), id: 'a' };
    expect(Object.keys(letterHeaders(own, WHY))).toEqual([
      'two',
      'three',
      'id',
      'x-lovage-reason',
      'x-lovage-left-out',
    ]);
  });
});
