import { uuidv7 } from './uuid.js';

test('ids are UUIDs of version 7 that only rise, each with the time at which it was made', () => {
  const before = Date.now();
  const ids = Array.from({ length: 5_000 }, () => uuidv7());
  const after = Date.now();
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect([...new Set(ids)].sort()).toEqual(ids);
  const times = ids.map((id) => Number.parseInt(id.replace('-', '').slice(0, 12), 16));
  expect(Math.min(...times)).toBeGreaterThanOrEqual(before);
  expect(Math.max(...times)).toBeLessThanOrEqual(after + 1);
});
