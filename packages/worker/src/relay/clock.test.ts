import { systemRuntime } from '@lovage/core';
import { Clock } from './clock.js';

const clock = () => new Clock({ ...systemRuntime, now: () => 1_000_000 });

describe("the database's clock", () => {
  it("is this machine's until the database has answered", () => {
    expect(clock().now()).toBe(1_000_000);
  });

  it('takes the middle of the round trip', () => {
    const tested = clock();
    tested.observe({ askedAt: 1_000, roundTripMs: 100, now: 6_050 });
    expect(tested.now()).toBe(1_005_000);
  });

  it('keeps the shortest round trip', () => {
    const tested = clock();
    tested.observe({ askedAt: 0, roundTripMs: 10, now: 5_005 });
    tested.observe({ askedAt: 0, roundTripMs: 200, now: 5_190 });
    expect(tested.now()).toBe(1_005_000);
    tested.observe({ askedAt: 0, roundTripMs: 2, now: 5_003 });
    expect(tested.now()).toBe(1_005_002);
  });

  it('follows a clock that was set', () => {
    const tested = clock();
    tested.observe({ askedAt: 0, roundTripMs: 2, now: 5_001 });
    tested.observe({ askedAt: 0, roundTripMs: 100, now: 9_050 });
    expect(tested.now()).toBe(1_009_000);
  });
});
