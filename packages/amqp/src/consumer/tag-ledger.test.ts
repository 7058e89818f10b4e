import { TagLedger } from './tag-ledger.js';

/** A ledger of a channel that has delivered so many. */
function ledgerOf(count: number): TagLedger {
  const ledger = new TagLedger();
  for (let tag = 1; tag <= count; tag += 1) ledger.receive(tag);
  return ledger;
}

test('in order, one settlement covers all', () => {
  const ledger = ledgerOf(9);
  expect(ledger.settle([1, 2, 3])).toEqual({ upTo: 3, single: [] });
  expect(ledger.settle([4])).toEqual({ upTo: 4, single: [] });
});

test('behind a gap each tag is settled by itself, until the gap closes', () => {
  const ledger = ledgerOf(9);
  expect(ledger.settle([3, 2])).toEqual({ upTo: null, single: [2, 3] });
  expect(ledger.settle([1])).toEqual({ upTo: 1, single: [] }); // 2 and 3 are settled: the broker would not know them
  expect(ledger.settle([6, 4])).toEqual({ upTo: 4, single: [6] });
  expect(ledger.settle([7, 5])).toEqual({ upTo: 7, single: [] });
});

test('a tag is settled once', () => {
  const ledger = ledgerOf(9);
  ledger.settle([1, 3]);
  expect(ledger.settle([1, 3, 3])).toEqual({ upTo: null, single: [] });
  expect(ledger.settle([5, 5])).toEqual({ upTo: null, single: [5] });
  expect(ledger.settle([2, 2, 1])).toEqual({ upTo: 2, single: [] });
});

test('a tag that was never delivered is passed over', () => {
  expect(ledgerOf(2).settle([3])).toEqual({ upTo: null, single: [] });
});
