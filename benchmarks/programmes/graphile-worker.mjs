// graphile-worker on PostgreSQL: `node graphile-worker.mjs prepare|enqueue|work`, see load.mjs. It deletes a job that has ended, with what it returned.
import { makeWorkerUtils, Logger, run, runMigrations } from 'graphile-worker';
import { done, enqueueAll, KINDS, load, mode } from './load.mjs';

const silent = new Logger(() => () => undefined);
const preset = {
  worker: {
    connectionString: process.env.LOVAGE_RESULTS,
    logger: silent,
    concurrentJobs: 24,
    maxPoolSize: 10,
    localQueue: { size: 500 },
    completeJobBatchDelay: 0,
    failJobBatchDelay: 0,
  },
};

if (mode === 'prepare') await runMigrations({ preset });
else if (mode === 'enqueue') {
  const utils = await makeWorkerUtils({ preset });
  await utils.withPgClient((client) => client.query('select 1'));
  const { kind } = load;
  await enqueueAll({
    one: (args) => utils.addJob(kind, { args }),
    bulk: (calls) => utils.addJobs(calls.map((args) => ({ identifier: kind, payload: { args } }))),
  });
  await utils.release();
} else {
  const { run: work } = KINDS[load.kind];
  const taskList = { [load.kind]: async ({ args }) => void (await work(...args)) };
  const runner = await run({ preset, taskList, noHandleSignals: true });
  runner.events.on('job:complete', () => done());
  process.once('SIGTERM', () => process.exit(0));
}
