// pg-boss on PostgreSQL: `node pg-boss.mjs prepare|enqueue|work`, see load.mjs. Batches fetched and completed by hand, two in flight:
// faster than its own work(), which runs one batch after the other. It stores no result of each task of a batch.
import PgBoss from 'pg-boss';
import { setTimeout as pause } from 'node:timers/promises';
import { done, enqueueAll, KINDS, load, mode } from './load.mjs';

const BATCH = 500;
const LOOPS = 2;

const boss = new PgBoss({
  connectionString: process.env.LOVAGE_RESULTS,
  supervise: false,
  schedule: false,
  migrate: mode === 'prepare',
});
boss.on('error', (error) => console.error(error));
await boss.start();
const { queue } = load;

if (mode === 'prepare') await boss.stop({ graceful: false });
else if (mode === 'enqueue') {
  await boss.createQueue(queue);
  await enqueueAll({
    one: (args) => boss.send(queue, { args }),
    bulk: (calls) => boss.insert(calls.map((args) => ({ name: queue, data: { args } }))),
  });
  await boss.stop({ graceful: false });
} else {
  const { run } = KINDS[load.kind];
  process.once('SIGTERM', () => process.exit(0));
  await Promise.all(
    Array.from({ length: LOOPS }, async () => {
      for (;;) {
        const jobs = await boss.fetch(queue, { batchSize: BATCH });
        if (jobs.length === 0) {
          await pause(20);
          continue;
        }
        await Promise.all(jobs.map(({ data }) => run(...data.args)));
        await boss.complete(
          queue,
          jobs.map(({ id }) => id),
        );
        done(jobs.length);
      }
    }),
  );
}
