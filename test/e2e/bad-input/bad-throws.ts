import { hostileHandler } from './bad-results.js';

export interface BadThrow {
  readonly thrown: () => unknown;
  /** The type of the error that is recorded, and what its message begins with. */
  readonly type: string;
  readonly message: string;
}

class Secretive extends Error {
  override get message(): string {
    throw new Error('do not read');
  }
  override get stack(): string {
    throw new Error('do not read');
  }
}

/** What a task may throw, by name. */
export const BAD_THROWS: Readonly<Record<string, BadThrow>> = {
  undefined: { thrown: () => undefined, type: 'NonError', message: 'undefined' },
  null: { thrown: () => null, type: 'NonError', message: 'null' },
  'a string': { thrown: () => 'just words', type: 'NonError', message: 'just words' },
  'a number': { thrown: () => -0, type: 'NonError', message: '-0' },
  'a symbol': { thrown: () => Symbol('s'), type: 'NonError', message: 'Symbol(s)' },
  'a function': { thrown: () => function named() {}, type: 'NonError', message: '[Function: named]' },
  'an object': { thrown: () => ({ code: 7 }), type: 'NonError', message: '{ code: 7 }' },
  'an object without a prototype': {
    thrown: () => Object.create(null) as unknown,
    type: 'NonError',
    message: '[Object: null prototype] {}',
  },
  'a Proxy that throws': { thrown: () => new Proxy({}, hostileHandler()), type: 'NonError', message: '' },
  'an error with getters that throw': { thrown: () => new Secretive('s'), type: 'Secretive', message: '' },
  'an error that is its own cause': {
    thrown: () => {
      const error = new TypeError('round');
      error.cause = error;
      return error;
    },
    type: 'TypeError',
    message: 'round',
  },
  'an error with a message of 10 MB': {
    thrown: () => new RangeError('é'.repeat(10_000_000)),
    type: 'RangeError',
    message: 'éééé',
  },
  'a string of 300 MB': { thrown: () => 'x'.repeat(300_000_000), type: 'NonError', message: 'xxxx' },
  'an error with a NUL and a lone surrogate': {
    thrown: () => new Error('a\0b\ud800'),
    type: 'Error',
    message: 'a\ufffdb\ufffd',
  },
  'an error whose name and message are no strings': {
    thrown: () => Object.assign(new Error('x'), { name: 5, message: { deep: true } }),
    type: 'Error',
    message: '{ deep: true }',
  },
  'an error of 100,000 errors': {
    thrown: () =>
      new AggregateError(
        Array.from({ length: 100_000 }, () => new Error('one of many')),
        'all',
      ),
    type: 'AggregateError',
    message: 'all (100000 errors: ',
  },
  'a stack overflow': {
    thrown: () => {
      const recurse = (): number => recurse() + 1;
      return recurse();
    },
    type: 'RangeError',
    message: 'Maximum call stack size exceeded',
  },
};
