import { PassThrough } from 'node:stream';
import { LovageError } from '@lovage/core';
import type { CliIo } from './cli-io.js';
import { reportError } from './report-error.js';

function report(error: unknown, env: CliIo['env'] = {}): { readonly code: number; readonly text: string } {
  const stderr = new PassThrough();
  const code = reportError(error, { stderr, env } as unknown as CliIo);
  return { code, text: String(stderr.read() ?? '') };
}

test('an error of the family is a message, its code and its causes, without a stack', () => {
  const cause = Object.assign(new Error('connect ECONNREFUSED'), { name: 'SocketError', cause: new Error('root') });
  expect(report(new LovageError('LOVAGE_BROKER_UNAVAILABLE', 'no broker', { cause }))).toEqual({
    code: 3,
    text: 'error: no broker (LOVAGE_BROKER_UNAVAILABLE)\n  caused by SocketError: connect ECONNREFUSED\n  caused by Error: root\n',
  });
});

test('a cause that the message tells is not told twice', () => {
  const cause = new SyntaxError('a name is missing');
  const { text } = report(new LovageError('LOVAGE_DISCOVERY', `cannot import x.ts: ${String(cause)}`, { cause }));
  expect(text).toBe('error: cannot import x.ts: SyntaxError: a name is missing (LOVAGE_DISCOVERY)\n');
});

test('any other error shows where it comes from', () => {
  const { code, text } = report(new TypeError('a bug'));
  expect(code).toBe(1);
  expect(text).toMatch(/^error: TypeError: a bug\n +at .*report-error\.test/);
});

test.each(['lovage', 'lovage:*', '*', 'x, lovage'])('DEBUG=%s shows every stack', (DEBUG) => {
  expect(report(new LovageError('LOVAGE_USAGE', 'wrong'), { DEBUG }).text).toContain('\n    at ');
});

test("a failed task's own error shows where the task threw", () => {
  const cause = new RangeError('division by zero');
  const { code, text } = report(new LovageError('LOVAGE_TASK_FAILED', 'task failed', { cause }));
  expect(code).toBe(4);
  expect(text).toMatch(/caused by RangeError: division by zero\n +at /);
});

test('no password is shown', () => {
  const cause = new Error('cannot reach postgres://me:secret@db/x?a=b or amqp://me:sec@ret@mq');
  const { text } = report(
    Object.assign(new Error('at amqp://u:secret@mq', { cause }), { stack: 'at amqp://u:secret@mq' }),
  );
  expect(text).not.toContain('sec');
  expect(text).toContain('amqp://u:***@mq');
});

test('causes that go in circles end', () => {
  const one = new Error('one');
  const two = new Error('two', { cause: one });
  Object.assign(one, { cause: two });
  expect(report(new LovageError('LOVAGE_USAGE', 'round', { cause: one })).text.match(/caused by/g)).toHaveLength(2);
});

test('the errors that an empty one gathers are its message', () => {
  const gathered = new AggregateError([new Error('refused on ::1'), new Error('refused on 127.0.0.1')], '');
  expect(report(new LovageError('LOVAGE_BROKER_UNAVAILABLE', 'no broker', { cause: gathered })).text).toContain(
    'refused on ::1; refused on 127.0.0.1',
  );
});

test('what is thrown need not be an error', () => {
  expect(report('a text').text).toBe('error: a text\n');
  expect(report(undefined).code).toBe(1);
});
