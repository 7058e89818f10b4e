import { fork } from 'node:child_process';
import path from 'node:path';
import { filesIn, REPORT_MODULES } from './loaded-files.js';
import type { FromWorker, StopKind, TaskSummary, ToWorker } from './protocol.js';

const ENTRY = path.join(__dirname, 'worker-entry.js');
/** How much longer than it should a worker may take to end; one that is stuck in a loop hears nothing. */
const GRACE_MS = 5_000;
/** How long a worker may take to hear that it shall stop until that is said, and how often it is said again. */
const SILENT_MS = { first: 3_000, again: 10_000 };

export interface WorkerProcessOptions {
  /** As -A. */
  readonly app: string;
  readonly loglevel: string;
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  /** Of the database that is broker and results. */
  readonly url: string;
  /** The app is loaded. What it returns to is the worker's start. */
  readonly onLoaded: (tasks: readonly TaskSummary[]) => void;
  readonly onFiles: (files: readonly string[]) => void;
  /** It has not heard for a while that it shall stop: a task that never awaits keeps it busy. Called again and again, until it has. */
  readonly onDeaf: (how: StopKind) => void;
}

/** How a worker ended. */
export interface WorkerEnd {
  /** null: by a signal. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Whether it ever consumed, and since when; a time of performance.now. */
  readonly readyAt: number | null;
}

/** A worker of `lovage dev`, in a process and a session of its own, so that Ctrl-C in a terminal does not reach it. It ends by itself when this process does. */
export interface WorkerProcess {
  /** Asks it to end; see ToWorker. */
  stop(how: StopKind, reason: string): void;
  /** Never rejects. */
  readonly ended: Promise<WorkerEnd>;
}

export function startWorkerProcess(options: WorkerProcessOptions): WorkerProcess {
  const child = fork(ENTRY, [options.app, options.loglevel], {
    cwd: options.cwd,
    // Not among the arguments, which every user of this machine may see. Code of the app's own that reads these finds what Lovage uses.
    env: { ...options.env, ...REPORT_MODULES, LOVAGE_BROKER: options.url, LOVAGE_RESULTS: options.url },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    detached: true,
  });
  let readyAt: number | null = null;
  let shutdownTimeoutMs = 0;
  let stopping: StopKind | null = null;
  let killing: NodeJS.Timeout | undefined;
  let listening: NodeJS.Timeout | undefined;
  const ended = new Promise<WorkerEnd>((resolve) => {
    const end = (code: number | null, signal: NodeJS.Signals | null): void => {
      clearTimeout(killing);
      clearTimeout(listening);
      resolve({ code, signal, readyAt });
    };
    // Not `exit`, which may come before the worker's last messages.
    child.once('close', end);
    // It could not even be started.
    child.on('error', () => child.pid === undefined && end(1, null));
  });
  const send = (message: ToWorker): void => {
    // Whatever keeps a message from a worker ends the worker too, which `ended` tells.
    if (child.connected) child.send(message, () => undefined);
  };
  const limitStop = (): void => {
    clearTimeout(killing);
    // One that is not ready runs no task that could be waited for.
    const limitMs = readyAt === null || stopping === 'now' ? 0 : stopping === 'stop' ? shutdownTimeoutMs : null;
    if (limitMs !== null) killing = setTimeout(() => child.kill('SIGKILL'), limitMs + GRACE_MS);
  };
  const expectAnswer = (waitMs: number): void => {
    clearTimeout(listening);
    listening = setTimeout(() => {
      if (readyAt !== null && stopping !== null) options.onDeaf(stopping);
      expectAnswer(SILENT_MS.again);
    }, waitMs);
  };
  child.on('message', (message) => {
    const files = filesIn(message);
    if (files.length > 0) options.onFiles(files);
    const told = message as FromWorker;
    if (told.kind === 'loaded') {
      ({ shutdownTimeoutMs } = told);
      options.onLoaded(told.tasks);
      send({ kind: 'run' });
    }
    if (told.kind === 'stopping') clearTimeout(listening);
    if (told.kind === 'ready') {
      readyAt = performance.now();
      if (stopping !== null) limitStop();
    }
  });
  return {
    ended,
    stop: (how, reason) => {
      send({ kind: 'stop', how, reason });
      stopping = how;
      limitStop();
      expectAnswer(SILENT_MS.first);
    },
  };
}
