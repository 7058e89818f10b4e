import { isDeepStrictEqual } from 'node:util';
import { isLovageError } from '../errors/lovage-error.js';
import { parseJson } from './parse-json.js';
import { MAX_NESTING, encodeWire, reviveWire } from './wire-value.js';

const encode = (value: unknown): string => encodeWire(value, { what: 'args' });
const roundTrip = (value: unknown): unknown => reviveWire(parseJson(encode(value), 'the test'));

function refusal(value: unknown, maxBytes?: number): string {
  try {
    encodeWire(value, maxBytes === undefined ? { what: 'args' } : { what: 'args', maxBytes });
  } catch (error) {
    if (isLovageError(error, 'LOVAGE_PAYLOAD')) return error.message;
    throw error;
  }
  return 'not refused';
}

function nested(levels: number): unknown {
  let value: unknown = [];
  for (let level = 1; level < levels; level++) value = [value];
  return value;
}

describe('plain values', () => {
  it.each([
    ['numbers', [1, 2.5, -3, 1e21, Number.MAX_SAFE_INTEGER, 5e-324]],
    ['text', ['', 'ä', '\ud83d\ude00', '"\\\n', '\u2028']],
    ['nesting', { a: { b: [{ c: null }, true] } }],
    ['an object without a prototype', Object.assign(Object.create(null) as object, { a: 1 })],
    ['undefined properties and holes', { a: undefined, b: [undefined, , 1] }], // eslint-disable-line no-sparse-arrays
    ['a class instance', new (class Point { x = 1; y = { z: 2 }; })()], // prettier-ignore
    ['toJSON', { url: new URL('http://a/b'), own: { toJSON: () => ({ x: 1 }) } }],
    ['boxed values', [Object('a'), Object(1), Object(false)]],
  ])('writes %s as JSON.stringify does', (_name, value) => {
    expect(encode(value)).toBe(JSON.stringify(value));
  });

  it('writes undefined as null', () => {
    expect(encode(undefined)).toBe('null');
    expect(encode({ toJSON: () => undefined })).toBe('null');
  });

  it('asks toJSON once, as JSON.stringify does', () => {
    const value = { a: 1, toJSON: (): object => ({ ...value, b: 2 }) };
    expect(encode(value)).toBe('{"a":1,"b":2}');
    expect(encode({ self: { toJSON: () => new Date(0) } })).toBe(
      '{"self":{"__type__":"datetime","__value__":"1970-01-01T00:00:00.000+00:00"}}',
    );
  });
});

describe('tags', () => {
  it.each([
    [new Date(Date.UTC(2026, 10, 22, 6, 19, 37, 757)), '"datetime"', '"2026-11-22T06:19:37.757+00:00"'],
    [new Uint8Array([1, 2, 255]), '"base64"', '"AQL/"'],
    [10n ** 20n, '"bigint"', '"100000000000000000000"'],
    [new Set([1, 'a']), '"set"', '[1,"a"]'],
    [new Map([['a', 1]]), '"map"', '[["a",1]]'],
    [Number.NaN, '"float"', '"NaN"'],
    [Number.NEGATIVE_INFINITY, '"float"', '"-Infinity"'],
    [{ __type__: 'x', __value__: 1 }, '"object"', '{"__type__":"x","__value__":1}'],
  ])('writes %p', (value, type, json) => {
    expect(encode(value)).toBe(`{"__type__":${type},"__value__":${json}}`);
  });

  it.each<[string, unknown]>([
    ['dates', [new Date(0), new Date(-1), new Date(8.64e15), new Date(-8.64e15), new Date(Date.UTC(2024, 1, 29))]],
    ['a date in year 50', new Date('0050-03-04T05:06:07.008Z')],
    ['bigints', [0n, -1n, 2n ** 200n]],
    ['numbers JSON has not', [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0, { a: -0 }]],
    ['maps', new Map<unknown, unknown>([[{ a: 1 }, new Map([[1, new Date(5)]])], [Number.NaN, [1n]]])], // prettier-ignore
    ['sets', new Set<unknown>([1, 'a', new Set([new Date(1)])])],
    ['empty containers', [new Map(), new Set(), [], {}]],
    ['data that looks like a tag', { __type__: 'datetime', __value__: '2026-01-01T00:00:00+00:00' }],
    ['data that looks like a tag in a tag', { __type__: 'object', __value__: { __type__: 'set', __value__: [1n] } }],
    ['data with the keys and another', { __type__: 'set', __value__: [1], more: 2 }],
    ['data with one of the keys', [{ __type__: 'set' }, { __value__: 1 }, { __type__: 3, __value__: 4 }]],
  ])('brings back %s', (_name, value) => {
    expect(roundTrip(value)).toStrictEqual(value);
  });

  it('escapes what looks like a tag once its undefined properties are gone', () => {
    expect(roundTrip({ __type__: 'set', __value__: [1], gone: undefined })).toStrictEqual({
      __type__: 'set',
      __value__: [1],
    });
  });

  it('brings back bytes as a Buffer, from views and slices too', () => {
    const bytes = new Uint8Array(1000).map((_, index) => index);
    for (const view of [bytes, bytes.subarray(10, 20), Buffer.from(bytes), new Uint8Array(0)]) {
      const revived = roundTrip(view);
      expect(Buffer.isBuffer(revived)).toBe(true);
      expect(Buffer.compare(revived as Buffer, Buffer.from(view))).toBe(0);
    }
  });

  it('does not change what it is given, and shares what holds no tag', () => {
    const plain = { deep: [1, 2] };
    const wire = [plain, { at: { __type__: 'datetime', __value__: '2026-01-01T00:00:00+00:00' } }];
    const before = JSON.stringify(wire);
    const revived = reviveWire(wire) as unknown[];
    expect(JSON.stringify(wire)).toBe(before);
    expect(revived[0]).toBe(plain);
    expect(revived[1]).toEqual({ at: new Date('2026-01-01T00:00:00Z') });
  });
});

describe("tags of Python's", () => {
  const tag = (type: string, value: unknown): unknown => reviveWire({ __type__: type, __value__: value });

  it.each<[string, unknown, unknown]>([
    ['datetime', '2026-11-22T06:19:37.757854+00:00', new Date('2026-11-22T06:19:37.757Z')],
    ['datetime', '2026-11-22T06:19:37', new Date('2026-11-22T06:19:37Z')],
    ['datetime', '2026-11-22T06:19:37+05:30', new Date('2026-11-22T00:49:37Z')],
    ['date', '2026-11-22', new Date('2026-11-22T00:00:00Z')],
    ['time', '06:19:37', '06:19:37'],
    ['decimal', '1.10', '1.10'],
    ['uuid', { hex: 'd8951d07f7fa4468a34f1a0c0288ea44' }, 'd8951d07-f7fa-4468-a34f-1a0c0288ea44'],
    ['bytes', 'grün', Buffer.from('grün')],
    ['base64', 'AQL/', Buffer.from([1, 2, 255])],
  ])('reads %s %p', (type, value, revived) => {
    expect(tag(type, value)).toStrictEqual(revived);
  });

  it.each<[string, unknown]>([
    ['money', 3],
    ['constructor', {}],
    ['toString', 'x'],
    ['datetime', 'yesterday'],
    ['datetime', '2026-02-30T00:00:00Z'],
    ['datetime', 12],
    ['bigint', '1e5'],
    ['float', '1'],
    ['map', [[1]]],
    ['set', 'abc'],
    ['uuid', { hex: 'short' }],
    ['object', [1]],
  ])('leaves %s %p as it is', (type, value) => {
    expect(tag(type, value)).toStrictEqual({ __type__: type, __value__: value });
  });

  it('still reads what is inside of a tag that it does not know', () => {
    expect(tag('money', { __type__: 'bigint', __value__: '3' })).toStrictEqual({ __type__: 'money', __value__: 3n });
  });
});

describe('what cannot travel', () => {
  const cycle: Record<string, unknown> = { a: {} };
  (cycle['a'] as Record<string, unknown>)['b'] = cycle;
  const map = new Map<string, unknown>();
  map.set('me', map);

  it.each<[unknown, string]>([
    [[{ items: [1, 2, 3, { cb: (): void => undefined }] }], 'args[0].items[3].cb: a function cannot travel'],
    [[1, Symbol('x')], 'args[1]: a symbol cannot travel'],
    [[{ 'a b': new Date(Number.NaN) }], 'args[0]["a b"]: an invalid Date cannot travel'],
    [[Promise.resolve(1)], 'args[0]: a promise cannot travel: await it first'],
    [[new Float64Array(2)], 'args[0]: of binary data only Uint8Array and Buffer can travel'],
    [[cycle], 'args[0].a.b: a cycle cannot travel'],
    [[map], 'args[0][0][1]: a cycle cannot travel'],
    [nested(MAX_NESTING + 1), 'args[0][0][0]'],
    [[{ get bad(): never { throw new TypeError('no'); } }], 'args: the value could not be read: no'], // prettier-ignore
    [[{ toJSON: (): never => { throw null; } }], 'args: the value could not be read: null'], // prettier-ignore
    [[new Proxy({}, { ownKeys: () => { throw new TypeError('trap'); } })], 'args: the value could not be read: trap'], // prettier-ignore
  ])('%#: is refused by its path', (value, message) => {
    expect(refusal(value)).toContain(message);
  });

  it('allows the same value twice, if it is no cycle', () => {
    const twin = { a: new Date(1) };
    expect(roundTrip([twin, twin])).toEqual([twin, twin]);
  });

  it(`allows ${MAX_NESTING} levels, plain and with a tag at the bottom`, () => {
    expect(refusal(nested(MAX_NESTING))).toBe('not refused');
    let value: unknown = 1n;
    for (let level = 0; level < MAX_NESTING; level++) value = level % 2 === 0 ? [value] : { value };
    expect(roundTrip(value)).toStrictEqual(value);
    expect(refusal([value])).toContain(`nesting deeper than ${MAX_NESTING} levels`);
    expect(refusal(nested(100_000))).toContain(`nesting deeper than ${MAX_NESTING} levels`);
  });

  it('refuses what is larger than allowed, counted in bytes', () => {
    expect(refusal('a'.repeat(98), 100)).toBe('not refused');
    expect(refusal('a'.repeat(99), 100)).toBe('args: its JSON is larger than 100 bytes');
    expect(refusal('ä'.repeat(49), 100)).toBe('not refused');
    expect(refusal('ä'.repeat(50), 100)).toContain('larger than 100 bytes');
    expect(refusal(new Uint8Array(100), 100)).toContain('larger than 100 bytes');
    expect(refusal([1n, 'a'.repeat(100)], 100)).toContain('larger than 100 bytes');
  });

  it('stops before it has built what is far too large', () => {
    const block = 'x'.repeat(1_000_000);
    const huge = new Array<string>(300).fill(block);
    const shared: unknown[] = [];
    let bomb: unknown = 'x';
    for (let level = 0; level < 60; level++) bomb = [bomb, bomb, ...shared];
    const stringify = jest.spyOn(JSON, 'stringify');
    expect(refusal(huge, 1_000_000)).toContain('larger than 1000000 bytes');
    expect(refusal(bomb, 1_000_000)).toContain('larger than 1000000 bytes');
    expect(stringify).not.toHaveBeenCalled();
    stringify.mockRestore();
    expect(refusal([1n, ...huge], 1_000_000)).toContain('larger than 1000000 bytes');
    expect(refusal(new Array(1e9), 1_000)).toContain('larger than 1000 bytes');
  });
});

describe('__proto__', () => {
  it('pollutes nothing, on the way out and in', () => {
    const text =
      '{"__proto__":{"polluted":1,"at":{"__type__":"bigint","__value__":"1"}},"b":{"__proto__":{"polluted":2}}}';
    const revived = reviveWire(parseJson(text, 'the test')) as { b: object };
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
    expect(Object.getPrototypeOf(revived)).toBe(Object.prototype);
    expect(Object.getPrototypeOf(revived.b)).toBe(Object.prototype);
    expect((revived as { polluted?: number }).polluted).toBeUndefined();
    expect(Object.getOwnPropertyDescriptor(revived, '__proto__')?.value).toStrictEqual({ polluted: 1, at: 1n });
    expect(encode(revived)).toBe(text);
  });

  it('is a key like any other in a map and in data that looks like a tag', () => {
    const value = JSON.parse('{"__type__":"object","__value__":{"__proto__":{"polluted":1}}}') as object;
    const revived = reviveWire(value) as { polluted?: number };
    expect(revived.polluted).toBeUndefined();
    expect(Object.keys(revived)).toEqual(['__proto__']);
  });
});

describe('parseJson', () => {
  it('reads what Python writes beyond JSON', () => {
    const value = reviveWire(parseJson('[NaN, {"a": -Infinity, "NaN": "Infinity \\" NaN"}, Infinity]', 'the body'));
    expect(value).toStrictEqual([Number.NaN, { a: -Infinity, NaN: 'Infinity " NaN' }, Infinity]);
  });

  it('keeps integers exact that a number cannot hold, where it is asked to', () => {
    const text =
      '[9007199254740993, -1152921504606846977, 9007199254740992, "9007199254740993", 1e20, 0.1234567890123456789]';
    expect(reviveWire(parseJson(text, 'the body', { exactIntegers: true }))).toStrictEqual([
      9007199254740993n, -1152921504606846977n, 9007199254740992, '9007199254740993', 1e20, 0.12345678901234568,
    ]); // prettier-ignore
    expect(parseJson('[9007199254740993]', 'the body')).toStrictEqual([9007199254740992]);
    const long = '7'.repeat(400);
    expect(reviveWire(parseJson(`[${long}, -${long}]`, 'the body', { exactIntegers: true }))).toStrictEqual([
      BigInt(long),
      -BigInt(long),
    ]);
  });

  it.each(['', '{', 'NaNs', '[1,]', 'undefined', '{"a":Infinity'])('refuses %p', (text) => {
    expect(() => parseJson(text, 'the body')).toThrow(/^expected the body to be JSON: /);
  });

  it('refuses what nests too deep, and only that', () => {
    const deep = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);
    expect(() => parseJson(deep(100_000), 'the body')).toThrow('nest at most 1000 levels');
    expect(() => parseJson(deep(MAX_NESTING + 2), 'the body')).toThrow('nest at most 1000 levels');
    expect(() => parseJson(deep(MAX_NESTING + 1), 'the body')).not.toThrow();
    expect(parseJson(JSON.stringify(['[{'.repeat(5000), '\\"['.repeat(5000)]), 'the body')).toHaveLength(2);
  });
});

describe('any value', () => {
  /** mulberry32: the same values in every run. */
  function seeded(seed: number): () => number {
    let state = seed;
    return () => {
      state = (state + 0x6d2b79f5) | 0;
      let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
    };
  }

  function anyValue(random: () => number, depth: number): unknown {
    const upTo = (limit: number): number => Math.floor(random() * limit);
    const text = (): string =>
      random() < 0.2
        ? (['__type__', '__value__', '__proto__', 'constructor', 'toJSON', 'object', 'datetime'][upTo(7)] ?? '')
        : Array.from({ length: upTo(8) }, () => String.fromCharCode(upTo(0x1_0000))).join('');
    const many = <T>(make: () => T): T[] => Array.from({ length: upTo(5) }, make);
    const makers: (() => unknown)[] = [
      () => upTo(1000) - 500,
      () => (random() - 0.5) * 10 ** upTo(300),
      () => [Number.NaN, Infinity, -Infinity, -0, 2 ** 53, 2 ** 70][upTo(6)],
      text,
      () => random() < 0.5,
      () => null,
      () => new Date(Math.floor((random() - 0.5) * 1.7e16)),
      () => BigInt(upTo(2 ** 31)) ** BigInt(upTo(9)) * -1n,
      () => Buffer.from(many(() => upTo(256))),
      () => many(() => anyValue(random, depth - 1)),
      () => new Set(many(() => anyValue(random, depth - 1))),
      () => new Map(many(() => [anyValue(random, depth - 1), anyValue(random, depth - 1)])),
      () => Object.fromEntries(many(() => [text(), anyValue(random, depth - 1)])),
      () => ({ __type__: text(), __value__: anyValue(random, depth - 1) }),
    ];
    return makers[upTo(depth > 0 ? makers.length : 9)]?.();
  }

  it.each([1, 2, 3, 4])('comes back as it was (seed %i)', (seed) => {
    const random = seeded(seed);
    for (let run = 0; run < 1_000; run++) {
      const value = anyValue(random, 5);
      // Jest's own equality trips over data with a key `constructor`.
      if (!isDeepStrictEqual(roundTrip(value), value)) expect(roundTrip(value)).toStrictEqual(value);
    }
  });
});
