import { EventBus, type LovageEvents } from '@lovage/core';
import { watchLimits } from './watch-limits.js';

const run = {} as LovageEvents['task:succeeded'];

it('says once that so many tasks have run, retries and failures included', () => {
  const events = new EventBus();
  const told: string[] = [];
  const end = watchLimits(events, { tasks: 3, memory: Infinity }, (reason) => told.push(reason));
  events.emit('task:succeeded', run);
  events.emit('task:retried', run as unknown as LovageEvents['task:retried']);
  expect(told).toEqual([]);
  events.emit('task:failed', run as unknown as LovageEvents['task:failed']);
  events.emit('task:succeeded', run);
  expect(told).toEqual(['has run 3 tasks']);
  end();
});

it('costs nothing where there is no limit of tasks', () => {
  const events = new EventBus();
  watchLimits(events, { tasks: Infinity, memory: Infinity }, () => undefined)();
  expect(events.has('task:succeeded')).toBe(false);
});
