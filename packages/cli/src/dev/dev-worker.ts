import type { Lovage } from '@lovage/core';
import { Worker } from '@lovage/worker';
import type { CliIo } from '../cli-io.js';
import type { ExitName } from '../exit-codes.js';
import { listenToParent } from '../processes/parent.js';
import { namesOfRunning, reportExit } from '../processes/running-tasks.js';
import { NO_END, runUntilTold } from '../processes/run-until-told.js';
import { runService, type ServiceFlags } from '../run-service.js';
import { schemaManagersOf } from '../schema-managers.js';
import { appSourceOf } from '../thread-loader.js';
import { reportLoadedFiles } from './loaded-files.js';
import type { FromWorker, ToWorker } from './protocol.js';
import { pointAt } from './use-dev.js';

/** How long running tasks may go on once `lovage dev` has died: the database died with it, and could not take their results. */
const ORPHAN_MS = 2_000;

/** Runs an app's tasks on the services of `lovage dev`, which are in the environment, until it says stop or is gone. */
export function runDevWorker(flags: ServiceFlags, io: CliIo): Promise<ExitName> {
  let run = (): void => undefined;
  /** The banner has been shown. */
  const mayRun = new Promise<void>((resolve) => (run = resolve));
  const parent = listenToParent<FromWorker, Extract<ToWorker, { readonly kind: 'run' }>>({
    io,
    gone: 'lovage dev is gone',
    onMessage: () => run(),
  });
  const reportFiles = reportLoadedFiles(parent.tell);
  const prepare = async (app: Lovage): Promise<void> => {
    pointAt(app, io.env['LOVAGE_RESULTS'] ?? '');
    // Whatever the app calls its schema; each time, as that may change too.
    for (const schema of await schemaManagersOf(app)) await schema.migrate();
  };
  return runService('worker', { flags, io, prepare }, async ({ app, loaded, logger }) => {
    const { shutdownTimeoutMs } = loaded.settings.worker;
    reportFiles();
    parent.tell({
      kind: 'loaded',
      tasks: loaded.tasks.list().map(({ name, params }) => ({ name, params })),
      shutdownTimeoutMs,
    });
    await mayRun;
    const source = appSourceOf(flags.app, io.cwd);
    const worker = new Worker(app, { shutdownTimeout: NO_END, logger, source });
    reportExit(worker, { logger, isAsked: () => parent.stopped });
    const report = await runUntilTold(worker, parent, {
      logger,
      limitMs: (how) => ({ drain: null, stop: shutdownTimeoutMs, orphaned: ORPHAN_MS, now: 0 })[how],
      describe: (limitMs) => {
        const running = namesOfRunning(worker);
        return running === null ? null : describeWait(limitMs, running);
      },
    });
    return report.abandoned === 0 ? 'ok' : 'abandoned';
  });
}

function describeWait(limitMs: number | null, tasks: string): string {
  const limit = limitMs === null ? '' : ` up to ${(limitMs / 1000).toFixed(0)} s`;
  return `Waiting${limit} for ${tasks} to end; ${limitMs === null ? 'Ctrl-C stops' : 'Ctrl-C again to stop at once'}`;
}
