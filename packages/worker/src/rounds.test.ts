import { deferred } from '../test/deferred.js';
import { Rounds } from './rounds.js';

describe('rounds', () => {
  it('take together what is asked for in one turn, and what gathers meanwhile', async () => {
    const batches: (readonly number[])[] = [];
    const first = deferred<undefined>();
    const begun = deferred<undefined>();
    const rounds = new Rounds<number>(async (batch) => {
      batches.push(batch);
      if (batches.length > 1) return;
      begun.resolve(undefined);
      await first.promise;
    });
    rounds.push(1);
    rounds.push(2);
    await begun.promise;
    for (const item of [3, 4, 5]) rounds.push(item);
    first.resolve(undefined);
    await rounds.idle();
    expect(batches).toEqual([
      [1, 2],
      [3, 4, 5],
    ]);
  });

  it('are no larger than 500', async () => {
    const sizes: number[] = [];
    const rounds = new Rounds<number>(async (batch) => void sizes.push(batch.length));
    for (let item = 0; item < 1_200; item += 1) rounds.push(item);
    await rounds.idle();
    expect(sizes).toEqual([500, 500, 200]);
    await rounds.idle();
  });
});
