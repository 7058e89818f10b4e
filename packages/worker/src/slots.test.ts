import { Slots } from './slots.js';

describe('slots', () => {
  it('keeps the order and the bound over many items', () => {
    const started: number[] = [];
    const slots = new Slots<number>(3, (item) => started.push(item));
    for (let item = 0; item < 5_000; item += 1) slots.push(item);
    expect(started).toEqual([0, 1, 2]);
    for (let end = 0; end < 5_000; end += 1) {
      slots.release();
      expect(slots.running).toBeLessThanOrEqual(3);
    }
    expect(started).toEqual(Array.from({ length: 5_000 }, (_, index) => index));
    expect(slots.running).toBe(0);
  });

  it('starts nothing once paused', async () => {
    const started: number[] = [];
    const slots = new Slots<number>(1, (item) => started.push(item));
    slots.push(1);
    slots.push(2);
    slots.pause();
    slots.push(3);
    const idle = slots.idle();
    slots.release();
    await idle;
    expect(started).toEqual([1]);
  });

  it('goes on where it was once resumed, within the bound', () => {
    const started: number[] = [];
    const slots = new Slots<number>(2, (item) => started.push(item));
    slots.pause();
    for (const item of [1, 2, 3]) slots.push(item);
    slots.start(0);
    expect([started, slots.running]).toEqual([[0], 1]);
    slots.resume();
    expect([started, slots.running]).toEqual([[0, 1], 2]);
    slots.release();
    slots.release();
    expect([started, slots.running]).toEqual([[0, 1, 2, 3], 2]);
  });

  it('takes items that end while they are begun, however many wait, in their order', async () => {
    const ended: number[] = [];
    const slots: Slots<number> = new Slots(2, (item) => {
      if (item === 0) slots.push(100_001);
      ended.push(item);
      slots.release();
    });
    slots.pause();
    for (let item = 0; item <= 100_000; item += 1) slots.push(item);
    slots.resume();
    await slots.idle();
    expect(ended).toEqual(Array.from({ length: 100_002 }, (_, index) => index));
  });
});
