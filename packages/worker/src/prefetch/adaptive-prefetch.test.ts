import { AdaptivePrefetch, type Weighed } from './adaptive-prefetch.js';

const MB = 2 ** 20;

function weighing(byteLength: number, count: number): readonly Weighed[] {
  return Array.from({ length: count }, () => ({ message: { body: { byteLength } } }));
}

const small = (count: number) => weighing(100, count);

function prefetch(slots: number): AdaptivePrefetch {
  return new AdaptivePrefetch({ slots, maxBytes: 64 * MB });
}

/** A second in which so many come and are finished. */
function second(subject: AdaptivePrefetch, finished: number): boolean {
  subject.received(small(finished));
  subject.finished(small(finished));
  return subject.endSecond();
}

/** One that is where short tasks bring it, and holds nothing. */
function grown(slots: number, finished: number): AdaptivePrefetch {
  const subject = prefetch(slots);
  second(subject, finished);
  return subject;
}

test.each([
  [1, 2],
  [100, 200],
  [1_500, 2_000],
  [3_000, 3_000],
  [100_000, 65_535],
])('with %p slots it begins at %p', (slots, limit) => {
  expect(prefetch(slots).limit).toBe(limit);
});

test('it doubles once twice as many are finished within a second, before that is over', () => {
  const subject = prefetch(100);
  const limits = [399, 1, 399, 1, 799, 1, 399, 1].map((count) => {
    subject.received(small(count));
    subject.finished(small(count));
    return subject.limit;
  });
  expect(limits).toEqual([200, 400, 400, 800, 800, 1_600, 1_600, 2_000]);
});

test('it holds a second’s worth and no more: a step is what was finished, or less', () => {
  expect([3, 4, 7, 8, 63, 64, 65].map((finished) => grown(1, finished).limit)).toEqual([2, 4, 4, 8, 32, 64, 64]);
});

test('it does not grow over several seconds that are slow', () => {
  const subject = prefetch(100);
  for (let n = 0; n < 10; n += 1) expect(second(subject, 399)).toBe(false);
  expect(subject.limit).toBe(200);
});

test('what takes long lets it stay where it began, however many end at once', () => {
  const subject = prefetch(100);
  subject.received(small(200));
  for (let n = 0; n < 5; n += 1) {
    subject.finished(small(100));
    subject.received(small(100));
    subject.endSecond();
  }
  expect(subject.limit).toBe(200);
});

test('it falls after three slow seconds on end, to what was finished in the best of them', () => {
  const subject = grown(100, 5_000);
  expect([900, 850, 800].map((finished) => [second(subject, finished), subject.limit])).toEqual([
    [false, 2_000],
    [false, 2_000],
    [false, 800],
  ]);
});

test('one second in three that is not slow keeps it where it is', () => {
  const subject = grown(100, 5_000);
  for (let n = 0; n < 5; n += 1) for (const finished of [0, 0, 1_000]) second(subject, finished);
  expect(subject.limit).toBe(2_000);
});

test('what is held beyond it is to go back: once', () => {
  const subject = grown(100, 5_000);
  subject.received(small(2_000));
  expect([1, 2, 3].map(() => subject.endSecond())).toEqual([false, false, true]);
  expect(subject.limit).toBe(200);
  subject.returned(small(1_800));
  expect([1, 2, 3, 4, 5, 6].map(() => subject.endSecond())).toEqual([false, false, false, false, false, false]);
});

test('what it began with is never too much', () => {
  const subject = prefetch(100);
  subject.received(small(200));
  expect([1, 2, 3].map(() => subject.endSecond())).toEqual([false, false, false]);
  expect(subject.limit).toBe(200);
});

test('heavy bodies make it fall at once, to what fits by their mean, though not below one for each slot', () => {
  const subject = grown(10, 5_000);
  subject.received(weighing(MB / 16, 1_024));
  expect(subject.limit).toBe(2_000);
  subject.received(weighing(MB / 16, 1));
  // 1,024 fit: 640 is the step below.
  expect(subject.limit).toBe(640);
  subject.received(weighing(10 * MB, 1_000));
  expect(subject.limit).toBe(10);
});

test('it grows to what weighs half of what it may, so that it does not swing', () => {
  const subject = prefetch(10);
  subject.received(weighing(MB, 64));
  subject.finished(weighing(MB, 60));
  // 32 weigh half.
  expect(subject.limit).toBe(20);
  subject.finished(weighing(MB, 4));
  subject.received(weighing(MB / 2, 64));
  subject.finished(weighing(MB / 2, 32));
  expect(subject.limit).toBe(40);
});

test('heavy ones that do not end go back too', () => {
  const subject = prefetch(10);
  subject.received(weighing(10 * MB, 20));
  expect(subject.limit).toBe(10);
  expect([1, 2, 3].map(() => subject.endSecond())).toEqual([false, false, true]);
});
