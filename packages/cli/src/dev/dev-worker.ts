import type { Lovage, TaskRequest } from '@lovage/core';
import { Worker } from '@lovage/worker';
import type { CliIo } from '../cli-io.js';
import type { ExitName } from '../exit-codes.js';
import { listenToParent } from '../processes/parent.js';
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
    const running = runningTasks(app);
    // An end of the process that nobody asked for: only here is it known which task did it, or was lost to it.
    process.once('exit', (code) => {
      if (running.size > 0 && !parent.stopped) logger.error(describeExit(code, [...running.values()]));
    });
    const report = await runUntilTold(worker, parent, {
      logger,
      limitMs: (how) => ({ drain: null, stop: shutdownTimeoutMs, orphaned: ORPHAN_MS, now: 0 })[how],
      describe: (limitMs) => (running.size > 0 ? describeWait(limitMs, [...running.values()]) : null),
    });
    return report.abandoned === 0 ? 'ok' : 'abandoned';
  });
}

function describeWait(limitMs: number | null, tasks: readonly TaskRequest[]): string {
  const limit = limitMs === null ? '' : ` up to ${(limitMs / 1000).toFixed(0)} s`;
  return `Waiting${limit} for ${listTasks(tasks)} to end; ${limitMs === null ? 'Ctrl-C stops' : 'Ctrl-C again to stop at once'}`;
}

function describeExit(code: number, tasks: readonly TaskRequest[]): string {
  return `The process ends (exit code ${code}) while ${listTasks(tasks)} ran: a task called process.exit()? What ran is delivered again in half a minute`;
}

function listTasks(tasks: readonly TaskRequest[]): string {
  const names = tasks.slice(0, 3).map(({ task, id }) => `${task}[${id}]`);
  return tasks.length > names.length ? `${names.join(', ')} and ${tasks.length - names.length} more` : names.join(', ');
}

/** Those that run now, by id; kept up to date. */
function runningTasks({ events }: Lovage): ReadonlyMap<string, TaskRequest> {
  const running = new Map<string, TaskRequest>();
  events.on('task:started', ({ request }) => void running.set(request.id, request));
  for (const end of ['task:succeeded', 'task:failed', 'task:retried', 'task:revoked', 'task:postponed'] as const)
    events.on(end, ({ request }) => void running.delete(request.id));
  return running;
}
