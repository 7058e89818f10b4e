import { Lovage, Task, type AppOptions } from '@lovage/core';
import { slotsOf } from './slots-of.js';

@Task({ name: 'light' })
class Light {
  run(): void {}
}

@Task({ name: 'heavy', queue: 'heavy', pool: 'threads' })
class Heavy {
  run(): void {}
}

async function slots(
  queue: string,
  { pool = 'async', routes = {} }: Pick<AppOptions, 'routes'> & { pool?: 'async' | 'threads' } = {},
) {
  const app = new Lovage({ broker: 'memory://slots', routes }).register(Light, Heavy);
  return slotsOf(queue, await app.load(), { pool, concurrency: 100, threads: 4 });
}

test('the slots of a queue are those of the pool that its tasks run in', async () => {
  expect(await slots('lovage')).toBe(100);
  expect(await slots('heavy')).toBe(4);
  expect(await slots('lovage', { pool: 'threads' })).toBe(4);
});

test('a queue of several kinds has those of the larger pool', async () => {
  expect(await slots('heavy', { routes: { light: 'heavy' } })).toBe(100);
  expect(await slots('lovage', { routes: { heavy: 'lovage' } })).toBe(100);
});

test('one that no task is known for has those of the default pool', async () => {
  expect(await slots('other')).toBe(100);
  expect(await slots('other', { pool: 'threads' })).toBe(4);
});
