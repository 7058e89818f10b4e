import { Alarm } from './alarm.js';

it('rings at once when it is told to, though it is overdue', async () => {
  let now = 0;
  const alarm = new Alarm({ monotonic: () => now });
  alarm.ringIn(60_000);
  now = 120_000; // its timer is late
  alarm.ringIn(0);
  await alarm.rung();
  alarm.reset();
});

it('keeps to the soonest time that it was given', async () => {
  const alarm = new Alarm({ monotonic: () => performance.now() });
  const since = performance.now();
  alarm.ringIn(20);
  alarm.ringIn(60_000);
  await alarm.rung();
  expect(performance.now() - since).toBeLessThan(10_000);
  alarm.reset();
});
