import type { LoadedApp } from '@lovage/core';
import { Worker, threadSetupOf, type LoopDeath, type WorkerOptions } from '@lovage/worker';
import { workerBannerOf, workerRows } from '../banner.js';
import type { CliIo } from '../cli-io.js';
import type { ExitName } from '../exit-codes.js';
import { describeWait } from '../run-worker.js';
import { runService } from '../run-service.js';
import { appSourceOf } from '../thread-loader.js';
import { workerOptionsOf, type WorkerFlags } from '../worker-flags.js';
import { endWithParent } from './end-with-parent.js';
import { listenToParent } from './parent.js';
import { processPlanOf } from './process-options.js';
import type { FromWorker, ToWorker, WorkerStart } from './protocol.js';
import { namesOfRunning, reportExit } from './running-tasks.js';
import { NO_END, runUntilTold } from './run-until-told.js';
import { LAST_WORDS_FD } from './worker-process.js';
import { watchLimits } from './watch-limits.js';

/** How often the supervisor is told that the event loop turns, in milliseconds. */
const BEAT_EVERY_MS = 1_000;
/** More than a worker takes to stop once its deadline has passed. */
const ORPHAN_GRACE_MS = 6_000;

/** Runs a worker in this process, which the supervisor of `lovage worker --processes` has started, until that says stop or is gone. */
export async function runWorkerProcess(io: CliIo): Promise<ExitName> {
  let begin = (_start: WorkerStart): void => undefined;
  const started = new Promise<WorkerStart>((resolve) => (begin = resolve));
  const parent = listenToParent<FromWorker, Extract<ToWorker, { readonly kind: 'start' }>>({
    io,
    gone: 'its supervisor is gone',
    onMessage: ({ start }) => begin(start),
  });
  const start = await started;
  const flags = start.flags as unknown as WorkerFlags;
  const options = workerOptionsOf(flags, io.cwd);
  let worker: Worker | null = null;
  const death = ({ settings }: LoadedApp): LoopDeath => ({
    lastWordsFd: LAST_WORDS_FD,
    endOf: (task, revocation) => worker?.endOf(task, revocation) ?? { limitLeftMs: null, lastWords: null },
    revocations:
      settings.results === null
        ? null
        : { app: threadSetupOf(appSourceOf(flags.app, io.cwd), settings), graceMs: settings.revocations.graceMs },
  });
  const request = { flags, io, process: start.process, silent: !start.first, death };
  return runService('worker', request, async ({ app, loaded, logger, announce }) => {
    const shutdownTimeoutMs = options.shutdownTimeout ?? loaded.settings.worker.shutdownTimeoutMs;
    endWithParent(shutdownTimeoutMs + ORPHAN_GRACE_MS);
    parent.tell({ kind: 'loaded', shutdownTimeoutMs });
    const workerOptions: WorkerOptions = { ...options, shutdownTimeout: NO_END, logger, lastWords: start.lastWords };
    const banner = { ...workerBannerOf(loaded, workerOptions), pid: process.ppid, processes: start.processes };
    announce(banner, workerRows);
    const running = (worker = new Worker(app, workerOptions));
    reportExit(running, { logger, isAsked: () => parent.stopped });
    const limits = processPlanOf(flags)?.limits ?? null;
    const ends = [
      repeatEvery(BEAT_EVERY_MS, () => {
        parent.tell({ kind: 'beat', consuming: running.consuming, tasks: namesOfRunning(running) });
      }),
      limits === null ? null : watchLimits(app.events, limits, (reason) => parent.tell({ kind: 'full', reason })),
    ];
    try {
      const { abandoned } = await runUntilTold(running, parent, {
        logger,
        limitMs: (how) => ({ drain: null, stop: shutdownTimeoutMs, orphaned: shutdownTimeoutMs, now: 0 })[how],
        describe: (limitMs) => {
          const again = limitMs === null ? 'a signal limits that' : 'a second signal stops at once';
          return running.running > 0 ? describeWait(running.running, { limitMs, again }) : null;
        },
      });
      return abandoned === 0 ? 'ok' : 'abandoned';
    } finally {
      for (const end of ends) end?.();
    }
  });
}

function repeatEvery(ms: number, act: () => void): () => void {
  const timer = setInterval(act, ms);
  return () => clearInterval(timer);
}
