// BullMQ on Redis: `node bullmq.mjs enqueue|work`, see load.mjs. What a task returns is kept in Redis, of the last thousand jobs.
import { Queue, Worker } from 'bullmq';
import { done, enqueueAll, KINDS, load, mode } from './load.mjs';

const connection = { url: process.env.BENCH_REDIS, maxRetriesPerRequest: null };

if (mode === 'enqueue') {
  const queue = new Queue(load.queue, {
    connection,
    defaultJobOptions: { removeOnComplete: 1000, removeOnFail: 1000 },
  });
  await queue.waitUntilReady();
  const { kind } = load;
  await enqueueAll({
    one: (args) => queue.add(kind, args),
    bulk: (calls) => queue.addBulk(calls.map((data) => ({ name: kind, data }))),
  });
  await queue.close();
} else {
  const { run } = KINDS[load.kind];
  const worker = new Worker(load.queue, ({ data }) => run(...data), {
    connection,
    concurrency: load.concurrency ?? 200,
  });
  worker.on('completed', () => done());
  process.once('SIGTERM', () => process.exit(0));
}
