import type { Message } from '@lovage/core';
import { message } from '../../test/support.js';
import { PublishFrames } from './publish-frames.js';

const SENT = { messageId: 'lane.1', again: false };

test.each<[string, Partial<Message>]>([
  ['a queue name over 255 bytes', { queue: 'ü'.repeat(128) }],
  ['a property over 255 bytes', { correlationId: 'x'.repeat(256) }],
  ['a priority that is no octet', { priority: 256 }],
  ['a header name over 255 bytes', { headers: { ['k'.repeat(256)]: 1 } }],
  ['headers over 64 KiB', { headers: { big: 'x'.repeat(70_000) } }],
  ['a header that is no header', { headers: { run: (() => 1) as never } }],
  ['a header that is not a number', { headers: { deep: [{ n: Number.NaN }] } }],
])('%s throws, and leaves nothing', (_, parts) => {
  const frames = new PublishFrames({ channel: 1, frameMax: 131_072 });
  const good = message('q');
  frames.add(good, SENT);
  const one = frames.length;
  expect(() => frames.add(message('q', parts), SENT)).toThrow(/at most|range|finite|a header/);
  frames.add(good, SENT);
  const bytes = frames.take();
  expect(bytes.subarray(0, one).equals(bytes.subarray(one))).toBe(true);
  expect(frames.take()).toHaveLength(0);
});

test('properties that fill no frame of the connection throw', () => {
  const frames = new PublishFrames({ channel: 1, frameMax: 4_096 });
  expect(() => frames.add(message('q', { headers: { some: 'x'.repeat(5_000) } }), SENT)).toThrow('at most 4088 bytes');
});

test('headers nested too deep for the stack throw', () => {
  let deep: Message['headers'] = {};
  for (let depth = 0; depth < 100_000; depth++) deep = { deep };
  const frames = new PublishFrames({ channel: 1, frameMax: 131_072 });
  expect(() => frames.add(message('q', { headers: deep }), SENT)).toThrow('call stack');
  expect(frames.length).toBe(0);
});
