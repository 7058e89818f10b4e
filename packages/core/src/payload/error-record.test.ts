import { runInNewContext } from 'node:vm';
import { LovageError } from '../errors/lovage-error.js';
import { encodeError, reviveError } from './error-record.js';
import { unstorableReason } from './storable.js';

describe('encodeError', () => {
  it('describes an error with its causes', () => {
    const error = new RangeError('division by zero', { cause: new TypeError('inner', { cause: 'a string' }) });
    expect(encodeError(error)).toStrictEqual({
      type: 'RangeError',
      message: 'division by zero',
      stack: error.stack,
      cause: {
        type: 'TypeError',
        message: 'inner',
        stack: expect.stringContaining('TypeError: inner') as string,
        cause: { type: 'NonError', message: 'a string', stack: null },
      },
    });
  });

  it.each<[string, unknown, string, string]>([
    ['a class without a name of its own', new (class Declined extends Error {})('no'), 'Declined', 'no'],
    ['a named error', Object.assign(new Error('no'), { name: 'AbortError' }), 'AbortError', 'no'],
    ['a DOMException', new DOMException('stop', 'AbortError'), 'AbortError', 'stop'],
    ["another realm's error", runInNewContext('new RangeError("far")'), 'RangeError', 'far'],
    ['a likeness of an error', { name: 'OddError', message: 'odd' }, 'OddError', 'odd'],
    ['a coded error', new LovageError('LOVAGE_USAGE', 'wrong'), 'UsageError', 'wrong'],
    ['a string', 'plain', 'NonError', 'plain'],
    ['undefined', undefined, 'NonError', 'undefined'],
    ['null', null, 'NonError', 'null'],
    ['a number', 42, 'NonError', '42'],
    ['an object', { a: { b: 1 } }, 'NonError', '{ a: { b: 1 } }'],
    ['a symbol', Symbol('s'), 'NonError', 'Symbol(s)'],
    ['a message that is no string', Object.assign(new Error(), { message: { a: 1 } }), 'Error', '{ a: 1 }'],
  ])('describes %s', (_name, thrown, type, message) => {
    expect(encodeError(thrown)).toMatchObject({ type, message });
  });

  it('keeps codes', () => {
    expect(encodeError(Object.assign(new Error(), { code: 'ENOENT' })).code).toBe('ENOENT');
    expect(encodeError(Object.assign(new Error(), { code: 7 })).code).toBe('7');
    expect(encodeError(Object.assign(new Error(), { code: {} }))).not.toHaveProperty('code');
  });

  it('names the errors that an AggregateError holds', () => {
    const record = encodeError(new AggregateError([new TypeError('a'), 'b', new RangeError('c')], 'all failed'));
    expect(record.message).toBe('all failed (3 errors: TypeError: a; NonError: b; RangeError: c)');
    expect(record.cause).toMatchObject({ type: 'TypeError', message: 'a' });
    const many = new AggregateError(Array.from({ length: 500 }, (_, index) => new Error(`e${index}`)));
    expect(encodeError(many).message).toMatch(/e9; and 490 more\)$/);
  });

  it('is bounded, and holds only what a store takes', () => {
    const cyclic = new Error('x'.repeat(1_000_000));
    cyclic.stack = `\0\ud800${'s'.repeat(1_000_000)}`;
    cyclic.cause = cyclic;
    const record = encodeError(cyclic);
    expect(record.message).toHaveLength(64_000);
    expect(record.stack).toHaveLength(32_000);
    expect(unstorableReason(JSON.stringify(record))).toBeNull();
    let depth = 0;
    for (let cause = record.cause; cause !== undefined; cause = cause.cause) depth++;
    expect(depth).toBe(5);
  });

  const trap = (): never => {
    throw new Error('trapped');
  };
  class Hostile extends Error {
    override get message(): string {
      return trap();
    }
    override get name(): string {
      return trap();
    }
    override get stack(): string {
      return trap();
    }
    override get cause(): unknown {
      return trap();
    }
  }
  const revoked = Proxy.revocable({}, {});
  revoked.revoke();
  const selfish = new AggregateError([], 'x');
  selfish.errors.push(selfish, selfish);

  it.each<[string, () => unknown]>([
    ['a proxy of traps', () => new Proxy({}, { get: trap, has: trap, getPrototypeOf: trap, ownKeys: trap })],
    ['a proxy of an error', () => new Proxy(new Error('x'), { get: trap, getPrototypeOf: trap })],
    ['a revoked proxy', () => revoked.proxy],
    ['an error whose getters throw', () => Object.create(new Hostile())],
    ['a hostile inspection', () => ({ [Symbol.for('nodejs.util.inspect.custom')]: trap, toString: trap })],
    ['an object without a prototype', () => Object.create(null)],
    ['an aggregate of itself', () => selfish],
    ['a class', () => class Thrown {}],
  ])('never throws: %s', (_name, make) => {
    const thrown = make();
    const record = encodeError(thrown);
    expect(typeof record.type).toBe('string');
    expect(typeof record.message).toBe('string');
    expect(() => JSON.stringify(record)).not.toThrow();
  });
});

describe('reviveError', () => {
  it.each([RangeError, TypeError, SyntaxError, ReferenceError, EvalError, URIError, Error])('revives a %p', (type) => {
    const original = new type('m', { cause: new Declined('why') });
    const revived = reviveError(encodeError(original));
    expect(revived).toBeInstanceOf(type);
    expect(revived.name).toBe(type.name);
    expect(revived.message).toBe('m');
    expect(revived.stack).toBe(original.stack);
    expect(revived.cause).toMatchObject({ name: 'Declined', message: 'why' });
    expect(Object.keys(revived)).toEqual([]);
  });

  it('makes any other an Error with that name and code', () => {
    const revived = reviveError({ type: 'PaymentError', message: 'm', stack: null, code: 'E_PAY' });
    expect(revived).toBeInstanceOf(Error);
    expect(revived).toMatchObject({ name: 'PaymentError', code: 'E_PAY', stack: 'PaymentError: m' });
    expect(revived).not.toHaveProperty('cause');
    expect(reviveError({ type: '__proto__', message: '', stack: null }).name).toBe('__proto__');
  });
});

class Declined extends Error {}
