import { type RetryOptions, retries, retryDelay, retryPolicyOf, retryProblem } from './retry-policy.js';

class OwnError extends Error {
  readonly code = 'E_OWN';
}

describe('retryPolicyOf', () => {
  it('has the defaults that the docs name', () => {
    expect(retryPolicyOf({})).toEqual({
      max: 3,
      for: null,
      notFor: [],
      backoffMs: 1_000,
      factor: 2,
      maxDelayMs: 600_000,
      jitter: true,
    });
  });

  it('never waits shorter than its backoff for want of a maxDelay', () => {
    expect(retryPolicyOf({ backoff: '1h' })).toMatchObject({ backoffMs: 3_600_000, maxDelayMs: 3_600_000 });
  });
});

describe('retryProblem', () => {
  it.each<readonly [unknown, string]>([
    [5, 'an object of max, for, notFor, backoff, factor, maxDelay, jitter, such as { max: 5 }'],
    [null, 'such as { max: 5 }'],
    [{ maximum: 5 }, "without 'maximum'"],
    [{ max: Infinity }, 'max is an integer from 1 to 10000, for a policy must end'],
    [{ max: 0 }, 'max is an integer'],
    [{ max: 2.5 }, 'max is an integer'],
    [{ backoff: -1 }, 'backoff is a duration from 0 to 36500d'],
    [{ backoff: 'soon' }, 'backoff is a duration'],
    [{ maxDelay: '300000 years' }, 'maxDelay is a duration'],
    [{ backoff: '2s', maxDelay: '1s' }, 'maxDelay is not below its backoff'],
    [{ factor: 0.5 }, 'factor is a number ≥ 1'],
    [{ factor: Infinity }, 'factor is a number ≥ 1'],
    [{ jitter: 1 }, 'jitter is true or false'],
    [{ for: [] }, 'for is an array of error classes'],
    [{ for: TypeError }, 'for is an array of error classes'],
    [{ notFor: [() => true] }, 'notFor is an array of error classes'],
    [{ notFor: [class {}] }, 'notFor is an array of error classes'],
    [{ for: [''] }, 'for is an array'],
  ])('%j: %s', (value, problem) => {
    expect(retryProblem(value)).toContain(problem);
  });

  it.each<RetryOptions>([
    {},
    { max: 10_000, backoff: 0, factor: 1, jitter: false },
    { for: [Error, OwnError, 'E_OWN'], notFor: [TypeError, 'AbortError'], maxDelay: '36500d' },
  ])('%j is fine', (options) => {
    expect(retryProblem(options)).toBeNull();
  });
});

describe('retries', () => {
  it.each<readonly [RetryOptions, unknown, boolean]>([
    [{}, new Error('any'), true],
    [{}, 'a string', true],
    [{ for: [TypeError] }, new TypeError('x'), true],
    [{ for: [TypeError] }, new RangeError('x'), false],
    [{ for: [Error] }, new OwnError('x'), true],
    [{ for: ['E_OWN'] }, new OwnError('x'), true],
    [{ for: ['TypeError'] }, new TypeError('x'), true],
    [{ for: ['E_OWN'] }, undefined, false],
    [{ notFor: [OwnError] }, new OwnError('x'), false],
    [{ for: [Error], notFor: ['E_OWN'] }, new OwnError('x'), false],
    [{ for: [Error], notFor: ['E_OWN'] }, new Error('x'), true],
  ])('%j, %p: %s', (options, error, expected) => {
    expect(retries(retryPolicyOf(options), error)).toBe(expected);
  });
});

describe('retryDelay', () => {
  const delays = (options: RetryOptions, random: number): number[] =>
    [0, 1, 2, 3, 5_000].map((done) => retryDelay(retryPolicyOf(options), done, random));

  it('grows by the factor up to the longest', () => {
    expect(delays({ backoff: 100, factor: 3, maxDelay: 1_000, jitter: false }, 0)).toEqual([
      100, 300, 900, 1_000, 1_000,
    ]);
  });

  it('draws between half and all of it', () => {
    expect(delays({ backoff: 100, factor: 1 }, 0)).toEqual([50, 50, 50, 50, 50]);
    expect(delays({ backoff: 100, factor: 1 }, 0.5)).toEqual([75, 75, 75, 75, 75]);
  });
});
