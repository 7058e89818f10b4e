import { systemRuntime } from '@lovage/core';
import { deferred } from '../test/deferred.js';
import { ShiftedRuntime } from '../test/shifted-runtime.js';
import { RateLimiter } from './rate-limiter.js';

/** What timers are late by is made up for. */
const SLACK_MS = 20;
const SECOND = { task: 'second', intervalMs: 1_000 };

function limiterOf({ hasOutbox = true, runtime = new ShiftedRuntime() } = {}) {
  const started: { readonly item: number; readonly at: number }[] = [];
  const postponed: [item: number, inS: number][] = [];
  let changed = deferred();
  const limiter = new RateLimiter<number>({
    runtime,
    ready: (item) => {
      started.push({ item, at: systemRuntime.monotonic() });
      changed.resolve();
      changed = deferred();
    },
    postpone: hasOutbox ? (item, inMs) => void postponed.push([item, Math.round(inMs / 1_000)]) : null,
  });
  const hasStarted = async (count: number): Promise<readonly number[]> => {
    while (started.length < count) await changed.promise;
    return started.map(({ item }) => item);
  };
  return { limiter, runtime, started, postponed, hasStarted };
}

function push(limiter: RateLimiter<number>, count: number, pace = SECOND): void {
  for (let item = 0; item < count; item += 1) limiter.push(item, pace);
}

it('starts the first at once and the others in order, evenly spaced', async () => {
  const { limiter, started, hasStarted } = limiterOf();
  push(limiter, 6, { task: 'any', intervalMs: 40 });
  expect(started).toHaveLength(1);
  await expect(hasStarted(6)).resolves.toEqual([0, 1, 2, 3, 4, 5]);
  const first = started[0]?.at ?? 0;
  for (const [index, { at }] of started.entries()) expect(at - first).toBeGreaterThan(index * 40 - SLACK_MS);
});

it('starts more a second than there are milliseconds', async () => {
  const { limiter, started, hasStarted } = limiterOf();
  push(limiter, 2_000, { task: 'any', intervalMs: 0.1 });
  await hasStarted(2_000);
  expect((started.at(-1)?.at ?? 0) - (started[0]?.at ?? 0)).toBeGreaterThan(200 - SLACK_MS);
});

it('saves nothing up while there is nothing to start', () => {
  const { limiter, runtime, started } = limiterOf();
  push(limiter, 1);
  runtime.advance(3_600_000);
  push(limiter, 3);
  expect(started).toHaveLength(2);
  limiter.keep(() => false);
});

it('counts each task by itself', () => {
  const { limiter, started } = limiterOf();
  push(limiter, 2);
  push(limiter, 2, { task: 'other', intervalMs: 1_000 });
  expect(started.map(({ item }) => item)).toEqual([0, 0]);
  limiter.keep(() => false);
});

it('postpones what is more than a minute away, as far apart as starts are', () => {
  const { limiter, runtime, postponed } = limiterOf();
  push(limiter, 64);
  expect(postponed).toEqual([
    [61, 61],
    [62, 62],
    [63, 63],
  ]);
  runtime.advance(2_000);
  limiter.push(64, SECOND);
  limiter.push(65, SECOND);
  // Those that wait here have not moved, as timers are not put forward; those that are away keep their place.
  expect(postponed.slice(3)).toEqual([]);
  limiter.push(66, SECOND);
  expect(postponed.slice(3)).toEqual([[66, 62]]);
  limiter.keep(() => false);
});

it('lets everything wait where nothing can be postponed', () => {
  const { limiter, started, postponed } = limiterOf({ hasOutbox: false });
  push(limiter, 100);
  expect([started.length, postponed.length]).toEqual([1, 0]);
  limiter.keep(() => false);
});

it('moves up those behind one that is given up', async () => {
  const { limiter, hasStarted } = limiterOf();
  push(limiter, 5, { task: 'any', intervalMs: 30 });
  limiter.keep((item) => item === 4);
  const begun = systemRuntime.monotonic();
  await expect(hasStarted(2)).resolves.toEqual([0, 4]);
  expect(systemRuntime.monotonic() - begun).toBeLessThan(1_000);
});
