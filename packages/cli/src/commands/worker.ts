import { defineCommand } from '../command.js';
import { processPlanOf } from '../processes/process-options.js';
import { superviseWorkers } from '../processes/supervise-workers.js';
import { runWorker } from '../run-worker.js';
import { workerFlags } from '../worker-flags.js';

/** `lovage worker`: runs tasks until it is told to stop. Its banner and its log go to standard error. */
export const command = defineCommand({
  build: (parser) =>
    workerFlags(parser)
      .example('$0 worker', 'The app in ./app.ts, ./app.js …')
      .example('$0 worker -A ./src/app.ts -l debug', 'Another app, and every detail')
      .example('$0 worker -Q slow,images -c 10', 'Two queues, ten tasks at once')
      .example('$0 worker --pool threads', 'Each task in a thread: for work that keeps a processor busy')
      .example('$0 worker --processes 4', 'For tasks that compute, on four cores')
      .example('$0 worker --logformat json', 'For log collectors')
      .example('$0 worker --health-port 8080', 'For the probes of Kubernetes'),

  run: async (options, io) => {
    const plan = processPlanOf(options);
    return plan === null ? runWorker(options, io) : superviseWorkers(plan, options, io);
  },
});
