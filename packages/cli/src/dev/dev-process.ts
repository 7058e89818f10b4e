import path from 'node:path';
import { startWorkerProcess, type WorkerProcess, type WorkerProcessOptions } from '../processes/worker-process.js';
import { filesIn, REPORT_MODULES } from './loaded-files.js';
import type { FromWorker, TaskSummary, ToWorker } from './protocol.js';

export interface DevProcessOptions extends Pick<WorkerProcessOptions, 'cwd' | 'env' | 'onDeaf'> {
  /** As -A. */
  readonly app: string;
  readonly loglevel: string;
  /** Of the database that is broker and results. */
  readonly url: string;
  /** The app is loaded. What it returns to is the worker's start. */
  readonly onLoaded: (tasks: readonly TaskSummary[]) => void;
  readonly onFiles: (files: readonly string[]) => void;
}

/** A worker of `lovage dev`. */
export function startDevProcess({
  app,
  loglevel,
  url,
  env,
  onLoaded,
  onFiles,
  ...options
}: DevProcessOptions): WorkerProcess {
  const worker = startWorkerProcess({
    ...options,
    entry: path.join(__dirname, 'worker-entry.js'),
    args: [app, loglevel],
    // Not among the arguments, which every user of this machine may see. Code of the app's own that reads these finds what Lovage uses.
    env: { ...env, ...REPORT_MODULES, LOVAGE_BROKER: url, LOVAGE_RESULTS: url },
    onMessage: (message) => {
      const files = filesIn(message);
      if (files.length > 0) onFiles(files);
      const told = message as FromWorker;
      if (told.kind !== 'loaded') return;
      onLoaded(told.tasks);
      worker.tell({ kind: 'run' } satisfies ToWorker);
    },
  });
  return worker;
}
