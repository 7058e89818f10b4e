/** What a task may return that no record can hold, by name. */
export const BAD_RESULTS: Readonly<Record<string, () => unknown>> = {
  'a cycle': () => {
    const cycle: { self?: unknown } = {};
    cycle.self = [cycle];
    return cycle;
  },
  'a function': () => ({ callback: () => 1 }),
  'a symbol': () => [Symbol('s')],
  'a promise inside': () => ({ later: Promise.resolve(1) }),
  'a rejected promise inside': () => ({ later: Promise.reject(new Error('nobody awaits me')) }),
  'an invalid date': () => [new Date(NaN)],
  'a NUL': () => 'a\0b',
  'a NUL in a key': () => ({ 'a\0b': 1 }),
  'a lone surrogate': () => 'a\ud800b',
  'a NUL beside a date': () => [new Date(0), '\0'],
  '2 MB': () => 'x'.repeat(2_000_000),
  '2 MB in small pieces': () => Array.from({ length: 300_000 }, (_, index) => index),
  '300 MB': () => 'x'.repeat(300_000_000),
  '300 MB beside a date': () => ({ at: new Date(0), text: 'x'.repeat(300_000_000) }),
  '300 MB of bytes': () => Buffer.alloc(300_000_000),
  'an array of 2 ** 31 holes': () => Object.assign([], { length: 2 ** 31 }),
  'nesting 1,001 deep': () => nested(1_001),
  'nesting 100,000 deep': () => nested(100_000),
  'a getter that throws': () => ({
    get value(): never {
      throw new Error('do not touch');
    },
  }),
  'a toJSON that throws': () => ({
    toJSON: (): never => {
      throw new Error('do not write');
    },
  }),
  'a toJSON that throws a null object': () => ({
    toJSON: (): never => {
      throw Object.create(null);
    },
  }),
  'a Proxy that throws': () => new Proxy({}, hostileHandler()),
  'a Proxy of an array that never ends': () => new Proxy([], { get: (_, key) => (key === 'length' ? Infinity : 1) }),
  'a revoked Proxy': () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    // Inside something, as `await` alone would meet it first.
    return [proxy];
  },
  'a thenable that throws': () => ({
    get then(): never {
      throw new Error('do not await');
    },
  }),
};

/** What JSON lacks or spells otherwise, and a record holds all the same. */
export const ODD_RESULTS: Readonly<Record<string, { readonly made: () => unknown; readonly got: unknown }>> = {
  'a BigInt': { made: () => ({ n: 2n ** 70n }), got: { n: 2n ** 70n } },
  'no result': { made: () => undefined, got: null },
  'a Proxy of plain data': { made: () => new Proxy({ a: [1] }, {}), got: { a: [1] } },
  'a key __proto__': { made: polluter, got: polluter() },
  'NaN and infinities': { made: () => [NaN, -Infinity, Infinity], got: [NaN, -Infinity, Infinity] },
  'what looks like a tag': {
    made: () => ({ __type__: 'bigint', __value__: '1' }),
    got: { __type__: 'bigint', __value__: '1' },
  },
  'a pair of surrogates': { made: () => '\ud834\udd1e \\u0000', got: '𝄞 \\u0000' },
  'nesting 1,000 deep': { made: () => nested(1_000), got: nested(1_000) },
};

/** `__proto__` is a property of its own, as JSON.parse makes it. */
function polluter(): unknown {
  return JSON.parse('{"a":{"__proto__":{"polluted":true}}}');
}

export function nested(depth: number): unknown {
  let value: unknown = [];
  for (let level = 1; level < depth; level++) value = [value];
  return value;
}

/** Every trap throws. */
export function hostileHandler(): ProxyHandler<object> {
  return new Proxy(
    {},
    {
      get: () => () => {
        throw new Error('do not look');
      },
    },
  );
}
