import path from 'node:path';
import type { CliIo } from '../cli-io.js';
import type { ExitName } from '../exit-codes.js';
import { healthAddressOf } from '../health/health-options.js';
import { withHealth } from '../health/with-health.js';
import { endAsLogged, serviceLogger, type Logger } from '../run-service.js';
import { workerOptionsOf, type WorkerFlags } from '../worker-flags.js';
import type { ProcessPlan } from './process-options.js';
import { ProcessSupervisor } from './process-supervisor.js';
import type { FromWorker } from './protocol.js';
import { startWorkerProcess } from './worker-process.js';

/** Runs workers in processes of their own until a signal, and replaces those that die or have had enough. This process loads no app. */
export function superviseWorkers(plan: ProcessPlan, flags: WorkerFlags, io: CliIo): Promise<ExitName> {
  const log = serviceLogger(flags, io);
  return endAsLogged(supervise(plan, { flags, io, logger: log.logger }), log, 'worker');
}

interface Supervision {
  readonly flags: WorkerFlags;
  readonly io: CliIo;
  readonly logger: Logger;
}

async function supervise(plan: ProcessPlan, { flags, io, logger }: Supervision): Promise<ExitName> {
  const address = healthAddressOf(flags);
  // What is wrong with the command line is told once, and not by every process.
  workerOptionsOf(flags, io.cwd);
  const supervisor = new ProcessSupervisor({
    processes: plan.processes,
    logger,
    startProcess: ({ process, first, lastWords, onMessage, ...listener }) => {
      const worker = startWorkerProcess({
        entry: path.join(__dirname, 'worker-entry.js'),
        args: [flags.app, flags.loglevel],
        cwd: io.cwd,
        env: io.env,
        onMessage: (message) => onMessage(message as FromWorker),
        ...listener,
      });
      worker.tell({
        kind: 'start',
        start: { flags: { ...flags }, process, processes: plan.processes, first, lastWords },
      });
      return worker;
    },
  });
  let signals = 0;
  const unsubscribe = io.onStopSignal((signal) => {
    const again = ++signals > 1;
    if (again) logger.warn(`${signal} again: not waiting any longer`);
    supervisor.stop(signal, { now: again });
  });
  try {
    const notReady = (): string | null => supervisor.notReady();
    return await withHealth({ address, logger, notReady }, () => supervisor.run());
  } finally {
    unsubscribe();
  }
}
