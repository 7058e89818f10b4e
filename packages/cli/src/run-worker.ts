import { Worker, type StopReport, type WorkerOptions } from '@lovage/worker';
import { workerBannerOf, workerRows } from './banner.js';
import type { CliIo } from './cli-io.js';
import type { ExitName } from './exit-codes.js';
import { healthAddressOf } from './health/health-options.js';
import { withHealth } from './health/with-health.js';
import { runService, runUntilSignal, type Service } from './run-service.js';
import { workerOptionsOf, type WorkerFlags } from './worker-flags.js';

/** Runs a worker in this process until a signal. */
export async function runWorker(flags: WorkerFlags, io: CliIo): Promise<ExitName> {
  const options = workerOptionsOf(flags, io.cwd);
  const address = healthAddressOf(flags);
  return runService('worker', { flags, io }, async ({ app, loaded, logger, announce }) => {
    const workerOptions: WorkerOptions = { ...options, logger };
    announce(workerBannerOf(loaded, workerOptions), workerRows);
    const waitsMs = options.shutdownTimeout ?? loaded.settings.worker.shutdownTimeoutMs;
    const worker = new Worker(app, workerOptions);
    const notReady = (): string | null => (worker.consuming ? null : 'the worker does not consume');
    const service = serviceOf(worker, { waitsMs, warn: (text) => logger.warn(text) });
    const { abandoned } = await withHealth({ address, logger, notReady }, () => runUntilSignal(io, service));
    return abandoned === 0 ? 'ok' : 'abandoned';
  });
}

interface Patience {
  readonly waitsMs: number;
  readonly warn: (text: string) => void;
}

/** The first signal lets running tasks end, the second does not wait for them. */
function serviceOf(worker: Worker, { waitsMs, warn }: Patience): Service<StopReport> {
  return {
    start: () => worker.start(),
    stop: (signal, { again }) => {
      const { running } = worker;
      const stopping = worker.stop({ reason: signal, now: again });
      if (again) warn(`${signal} again: not waiting any longer`);
      else if (running > 0) warn(describeWait(running, { limitMs: waitsMs, again: `${signal} again to stop at once` }));
      return stopping;
    },
  };
}

interface Wait {
  /** null: as long as it takes. */
  readonly limitMs: number | null;
  /** What ends it. */
  readonly again: string;
}

/** What a stop waits for. */
export function describeWait(running: number, { limitMs, again }: Wait): string {
  const limit = limitMs === null ? '' : ` up to ${(limitMs / 1000).toFixed(0)} s`;
  return `Waiting${limit} for ${running} running task${running === 1 ? '' : 's'}; ${again}`;
}
