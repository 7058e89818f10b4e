import { describeBlock } from './loop-block.js';

const block = { blockedMs: 3_420, task: { id: 'a1', name: 'math.fib' }, frame: 'Fib.run (/app/math/tasks.ts:6:5)' };

it('names the task and its code', () => {
  expect(describeBlock(block, { lasts: false })).toBe(
    'Task math.fib[a1] blocked the event loop for 3.4 s, at Fib.run (/app/math/tasks.ts:6:5): nothing else ran in this process',
  );
  expect(describeBlock(block, { lasts: true })).toBe(
    'Task math.fib[a1] has blocked the event loop for 3.4 s so far, at Fib.run (/app/math/tasks.ts:6:5): nothing else runs in this process',
  );
});

it('says what it knows where it was no task', () => {
  expect(describeBlock({ ...block, task: null, frame: null }, { lasts: false })).toBe(
    'The event loop was blocked for 3.4 s: nothing else ran in this process',
  );
});
