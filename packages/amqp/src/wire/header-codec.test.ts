import type { Headers } from '@lovage/core';
import { decodeHeaders, encodeHeaders } from './header-codec.js';

test('every integer names its width', () => {
  expect(encodeHeaders({ a: 0, b: -(2 ** 31), c: 2 ** 31, d: [200], e: { f: 1 } })).toEqual({
    a: { '!': 'int32', value: 0 },
    b: { '!': 'int32', value: -(2 ** 31) },
    c: { '!': 'int64', value: 2 ** 31 },
    d: [{ '!': 'int32', value: 200 }],
    e: { f: { '!': 'int32', value: 1 } },
  });
});

test('what is no 64-bit integer is a double', () => {
  expect(encodeHeaders({ a: 0.5, b: 2 ** 63 })).toEqual({
    a: { '!': 'double', value: 0.5 },
    b: { '!': 'double', value: 2 ** 63 },
  });
});

test.each([NaN, Infinity, -Infinity])('%p is refused: it would close the connection', (value) => {
  expect(() => encodeHeaders({ list: [{ n: value }] })).toThrow(RangeError);
});

test('a received key __proto__ pollutes nothing and is not read', () => {
  // As amqplib assigns it.
  const received: Record<string, unknown> = { nested: {} };
  received['__proto__'] = { task: 'smuggled' };
  (received['nested'] as Record<string, unknown>)['__proto__'] = { deep: true };
  const headers: Headers = decodeHeaders(received);
  expect(headers['task']).toBeUndefined();
  expect((headers['nested'] as Headers)['deep']).toBeUndefined();
  expect(({} as Record<string, unknown>)['task']).toBeUndefined();
});
