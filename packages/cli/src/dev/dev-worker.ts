import type { Lovage, TaskRequest } from '@lovage/core';
import { Worker, type StopReport, type WorkerLogger } from '@lovage/worker';
import type { CliIo } from '../cli-io.js';
import type { ExitName } from '../exit-codes.js';
import { runService, type ServiceFlags } from '../run-service.js';
import { schemaManagersOf } from '../schema-managers.js';
import { reportLoadedFiles } from './loaded-files.js';
import type { FromWorker, StopKind, ToWorker } from './protocol.js';
import { pointAt } from './use-dev.js';

/** The longest there is: a reload waits for as long as a task takes. */
const NO_END = '24d';
/** How often it is said what a reload waits for. */
const SAY_EVERY_MS = 10_000;
/** How long running tasks may go on once `lovage dev` has died: the database died with it, and could not take their results. */
const ORPHAN_MS = 2_000;

/** Runs an app's tasks on the services of `lovage dev`, which are in the environment, until it says stop or is gone. */
export function runDevWorker(flags: ServiceFlags, io: CliIo): Promise<ExitName> {
  const parent = listenToParent(io);
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
    await parent.mayRun;
    const worker = new Worker(app, { shutdownTimeout: NO_END, logger });
    const running = runningTasks(app);
    // An end of the process that nobody asked for: only here is it known which task did it, or was lost to it.
    process.once('exit', (code) => {
      if (running.size > 0 && !parent.stopped) logger.error(describeExit(code, [...running.values()]));
    });
    const report = await new Promise<StopReport>((resolve, reject) => {
      let endWait = (): void => undefined;
      parent.onStop((how, reason) => {
        const limitMs = { drain: null, stop: shutdownTimeoutMs, orphaned: ORPHAN_MS, now: 0 }[how];
        endWait();
        endWait = waitAtMost(limitMs, { worker, running, logger });
        worker
          .stop({ reason, now: how === 'now' })
          .finally(() => endWait())
          .then(resolve, reject);
      });
      worker.start().then(
        () => parent.tell({ kind: 'ready' }),
        (error: Error) => {
          // After a stop nobody waits for the start any more.
          if (!parent.stopped) reject(error);
        },
      );
    });
    return report.abandoned === 0 ? 'ok' : 'abandoned';
  });
}

interface Wait {
  readonly worker: Worker;
  readonly running: ReadonlyMap<string, TaskRequest>;
  readonly logger: WorkerLogger;
}

/** Says what a stop waits for, and ends that after so long; null: running tasks may take as long as they do, and it is said again and again. The function returned ends it. */
function waitAtMost(limitMs: number | null, { worker, running, logger }: Wait): () => void {
  const say = (): void => {
    if (running.size > 0) logger.warn(describeWait(limitMs, [...running.values()]));
  };
  if (limitMs !== 0) say();
  if (limitMs === null) {
    const saying = setInterval(say, SAY_EVERY_MS);
    return () => clearInterval(saying);
  }
  const limit = setTimeout(() => void worker.stop({ now: true }), limitMs);
  return () => clearTimeout(limit);
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

type Stop = (how: StopKind | 'orphaned', reason: string) => void;

interface Parent {
  /** Resolves when the banner has been shown. */
  readonly mayRun: Promise<void>;
  readonly stopped: boolean;
  readonly tell: (message: FromWorker) => void;
  /** Called at each request to stop, and at once if there has been one. */
  onStop(stop: Stop): void;
}

/** `lovage dev`, as its worker sees it. A stop before the app is loaded ends the process: nothing runs. */
function listenToParent(io: CliIo): Parent {
  let stop: Stop = () => process.exit(0);
  let stopped = false;
  const stopNow: Stop = (how, reason) => {
    stopped = true;
    stop(how, reason);
  };
  const tell: Parent['tell'] = (message) => {
    if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
  };
  const mayRun = new Promise<void>((resolve) => {
    process.on('message', (message: ToWorker) => {
      if (message.kind === 'run') resolve();
      else {
        tell({ kind: 'stopping' });
        stopNow(message.how, message.reason);
      }
    });
  });
  process.once('disconnect', () => stopNow('orphaned', 'lovage dev is gone'));
  // Ctrl-C does not come here, but whoever shuts the machine down signals every process.
  io.onStopSignal((signal) => stopNow('stop', signal));
  return {
    mayRun,
    get stopped() {
      return stopped;
    },
    tell,
    onStop: (listener) => (stop = listener),
  };
}
