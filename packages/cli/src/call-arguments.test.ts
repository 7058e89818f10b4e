import { parseCallArgument, parseKwargs } from './call-arguments.js';

test.each([
  ['42', 42],
  ['-1.5', -1.5],
  ['true', true],
  ['null', null],
  ['"42"', '42'],
  ['[1, {"a": 2}]', [1, { a: 2 }]],
  ['Ada', 'Ada'],
  ['007', '007'],
  ['', ''],
  ['two words', 'two words'],
  ['NaN', 'NaN'],
])('%j on the command line is %j', (text, value) => {
  expect(parseCallArgument(text, 0)).toEqual(value);
});

test.each(['{"a": 1', '[1,', '"open', ' {a: 1}', '12345678901234567890', '1e400'])('%j is refused', (text) => {
  expect(() => parseCallArgument(text, 1)).toThrow(/^expected argument 2 to be/);
});

test.each(['[1]', 'null', '5', 'x=1'])('--kwargs %j is refused', (text) => {
  expect(() => parseKwargs(text)).toThrow(/^expected --kwargs to be a JSON object/);
});

test('--kwargs takes an object, whatever its keys', () => {
  expect(Object.keys(parseKwargs('{"__proto__": 1, "x": 2}'))).toEqual(['__proto__', 'x']);
});
