import { type RateLimit, rateLimitProblem, startIntervalOf } from './rate-limit.js';

describe('a rate limit', () => {
  it.each<[RateLimit, number]>([
    ['10/s', 100],
    ['90/m', 60_000 / 90],
    ['5/h', 720_000],
    ['0.5/s', 2_000],
    ['2000/s', 0.5],
  ])('%s is a start every %d ms', (limit, ms) => {
    expect(rateLimitProblem(limit)).toBeNull();
    expect(startIntervalOf(limit)).toBeCloseTo(ms, 9);
  });

  it.each(['', '10', '10/d', '/s', '0/s', '0.0/m', '-1/s', '1e3/s', ' 1/s', '1/s ', '.5/s', '10/S', 10, null, {}])(
    'refuses %j',
    (value) => {
      expect(rateLimitProblem(value)).toContain("such as '10/s'");
    },
  );
});
