// The same work as hand-written.mjs with Lovage: the app that `lovage worker -A` runs, and its caller:
//   node lovage.mjs enqueue QUEUE COUNT        delay(), a thousand unconfirmed at once
//   node lovage.mjs enqueue-many QUEUE COUNT   delayMany() of a thousand
//   node lovage.mjs round-trip QUEUE COUNT     delay() and get(), one after the other, beside a worker that runs
import { Lovage, Task } from 'lovage';

class Add {
  async run(x, y) {
    return x + y;
  }
}
Task({ name: 'bench.add' })(Add);

export const app = new Lovage({ name: 'bench' });
app.configFromObject(process.env, { namespace: 'LOVAGE' });
app.register(Add);

const [mode, queue, count] = process.argv.slice(2);
if (mode === 'enqueue' || mode === 'enqueue-many') {
  const tasks = Number(count);
  const add = app.task(Add).with({ queue });
  await app.connectBroker();
  const started = performance.now();
  if (mode === 'enqueue') await pipelined(add, tasks);
  else
    for (let n = 0; n < tasks; n += 1000)
      await add.delayMany(Array.from({ length: Math.min(1000, tasks - n) }, (_, i) => [n + i, 1]));
  console.log(JSON.stringify({ perSecond: tasks / ((performance.now() - started) / 1000) }));
  await app.stop();
} else if (mode === 'round-trip') {
  console.log(JSON.stringify({ milliseconds: await roundTrips(app.task(Add).with({ queue }), Number(count)) }));
  await app.stop();
}

async function roundTrips(add, calls) {
  // Connections, prepared statements, compiled code: and the worker may still be starting.
  const WARM_UP = 50;
  const milliseconds = [];
  for (let n = 0; n < WARM_UP + calls; n++) {
    const started = performance.now();
    await (await add.delay(n, 1)).get({ timeout: '60s' });
    if (n >= WARM_UP) milliseconds.push(performance.now() - started);
  }
  return milliseconds;
}

async function pipelined(add, tasks) {
  const WINDOW = 1000;
  let inFlight = 0;
  let resume = null;
  let failure = null;
  for (let n = 0; n < tasks; n++) {
    if (inFlight >= WINDOW) await new Promise((resolve) => (resume = resolve));
    if (failure !== null) throw failure;
    inFlight++;
    add.delay(n, 1).then(
      () => {
        inFlight--;
        resume?.();
        resume = null;
      },
      (error) => {
        failure = error;
        resume?.();
      },
    );
  }
  while (inFlight > 0) await new Promise((resolve) => (resume = resolve));
}
