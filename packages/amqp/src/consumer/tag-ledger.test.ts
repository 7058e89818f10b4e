import { TagLedger } from './tag-ledger.js';

test('in order, one settlement covers all', () => {
  const ledger = new TagLedger();
  expect(ledger.settle([1, 2, 3])).toEqual({ upTo: 3, single: [] });
  expect(ledger.settle([4])).toEqual({ upTo: 4, single: [] });
});

test('behind a gap each tag is settled by itself, until the gap closes', () => {
  const ledger = new TagLedger();
  expect(ledger.settle([3, 2])).toEqual({ upTo: null, single: [2, 3] });
  expect(ledger.settle([1])).toEqual({ upTo: 1, single: [] }); // 2 and 3 are settled: the broker would not know them
  expect(ledger.settle([6, 4])).toEqual({ upTo: 4, single: [6] });
  expect(ledger.settle([7, 5])).toEqual({ upTo: 7, single: [] });
});

test('a tag is settled once', () => {
  const ledger = new TagLedger();
  ledger.settle([1, 3]);
  expect(ledger.settle([1, 3, 3])).toEqual({ upTo: null, single: [] });
  expect(ledger.settle([5, 5])).toEqual({ upTo: null, single: [5] });
  expect(ledger.settle([2, 2, 1])).toEqual({ upTo: 2, single: [] });
});
