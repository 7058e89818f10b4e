// The app that `lovage worker -A` runs, and its caller: `node lovage.mjs enqueue|round-trip|paced`, see load.mjs.
import { Arg, Lovage, Task } from 'lovage';
import { done, enqueueAll, enqueuePaced, KINDS, load, mode, Order, timeCalls } from './load.mjs';

export const app = new Lovage({ name: 'bench' });
app.configFromObject(process.env, { namespace: 'LOVAGE' });

const tasks = Object.fromEntries(Object.entries(KINDS).map(([kind, { run }]) => [kind, taskOf(kind, run)]));
Arg(() => Order)(tasks.order.prototype, 'run', 0);
tasks.ignored = taskOf('ignored', countedAdd, { ignoreResult: true });
for (const task of Object.values(tasks)) app.register(task);

if (mode === 'enqueue' || mode === 'round-trip' || mode === 'paced') {
  const task = app.task(tasks[load.ignoreResult ? 'ignored' : load.kind]).with({ queue: load.queue });
  await app.connectBroker();
  if (mode === 'enqueue')
    await enqueueAll({ one: (args) => task.delay(...args), bulk: (calls) => task.delayMany(calls) });
  else if (mode === 'paced') await enqueuePaced((args) => task.delay(...args));
  else await timeCalls(async (args) => (await task.delay(...args)).get({ timeout: '60s' }));
  await app.stop();
}

function taskOf(kind, run, options = {}) {
  const task = class {
    run(...args) {
      return run(...args);
    }
  };
  Task({ name: `bench.${kind}`, ...options })(task);
  return task;
}

/** Its result leaves no row, so it is counted where it runs. */
async function countedAdd(x, y) {
  done();
  return x + y;
}
