import { TaskContext, type TaskContextHost } from '@lovage/core';
import { guardProcess } from './guard-process.js';
import { requestOf } from '../test/rig.js';

describe('guardProcess', () => {
  it('logs what a task left dangling, with its task, until it is taken back', () => {
    const lines: [string, object | undefined][] = [];
    const before = process.listenerCount('unhandledRejection');
    const release = guardProcess({ error: (message, meta) => lines.push([message, meta]) });
    const host = {} as TaskContextHost;
    new TaskContext(requestOf('leaky', { id: 'id-1' }), host).run(() => {
      process.emit('unhandledRejection', new RangeError('nobody awaits'), Promise.resolve());
    });
    (process as NodeJS.EventEmitter).emit('uncaughtException', new TypeError('in a timer'));
    release();
    expect(lines).toEqual([
      [expect.stringMatching(/^a promise was rejected .*: RangeError: nobody awaits/), { task: 'leaky', id: 'id-1' }],
      [expect.stringMatching(/^an error was thrown outside of any call: TypeError: in a timer/), {}],
    ]);
    expect(process.listenerCount('unhandledRejection')).toBe(before);
  });

  it.each<[string, unknown]>([
    ['an object without a prototype', Object.create(null)],
    ['a Proxy that throws', new Proxy({}, { get: () => decodeURI('%') })],
    ['a symbol', Symbol('s')],
    [
      'an error with a getter that throws',
      Object.defineProperty(new Error('e'), 'stack', { get: () => decodeURI('%') }),
    ],
  ])('survives whatever is thrown: %s', (_what, thrown) => {
    const lines: string[] = [];
    const release = guardProcess({ error: (message) => lines.push(message) });
    process.emit('unhandledRejection', thrown, Promise.resolve());
    (process as NodeJS.EventEmitter).emit('uncaughtException', thrown);
    release();
    expect(lines).toHaveLength(2);
  });
});
