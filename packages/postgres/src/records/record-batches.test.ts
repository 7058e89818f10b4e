import { completion, recordWrite } from '../../test/support.js';
import { entryOf, recordBatches } from './record-batches.js';

function batchesOf(ids: readonly string[], resultJson = '1'): readonly (readonly string[])[] {
  const entries = ids.map((id, index) => entryOf(completion(recordWrite({ id, resultJson })), index));
  return recordBatches(entries).map((batch) => batch.map(({ completion: { record } }) => record.id));
}

describe('recordBatches', () => {
  it('sorts by id, so that statements that overlap lock in one order', () => {
    expect(batchesOf(['c', 'a', 'b'])).toEqual([['a', 'b', 'c']]);
  });

  it('holds no id twice in a statement, and keeps the order of the writes of one id', () => {
    expect(batchesOf(['b', 'a', 'b', 'c', 'b', 'a'])).toEqual([['a', 'b', 'c'], ['a', 'b'], ['b']]);
    const entries = [3, 1, 2].map((attempt, index) => entryOf(completion(recordWrite({ id: 'x', attempt })), index));
    expect(recordBatches(entries).map(([entry]) => entry?.completion.record.attempt)).toEqual([3, 1, 2]);
  });

  it('puts at most 500 rows into a statement', () => {
    const ids = Array.from({ length: 1_001 }, (_, index) => String(index));
    expect(batchesOf(ids).map(({ length }) => length)).toEqual([500, 500, 1]);
  });

  it('puts at most 8 MB into a statement, and a larger row into one of its own', () => {
    const megabytes = (count: number): string => JSON.stringify('é'.repeat((count * 2 ** 20) / 2 - 8));
    expect(batchesOf(['a', 'b', 'c'], megabytes(4))).toEqual([['a', 'b'], ['c']]);
    expect(batchesOf(['a', 'b', 'c'], megabytes(9))).toEqual([['a'], ['b'], ['c']]);
  });

  it('makes none of nothing', () => {
    expect(recordBatches([])).toEqual([]);
  });
});
