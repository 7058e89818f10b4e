import { fork } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { LastWords } from '@lovage/worker';
import type { LifeMessage, StopKind, StopMessage } from './protocol.js';

/** Where a process whose event loop is blocked can still say something: a pipe. */
export const LAST_WORDS_FD = 4;
/** How much longer than it should a worker may take to end; one that is stuck in a loop hears nothing. */
const GRACE_MS = 5_000;
/** How long a worker may take to hear that it shall stop until that is said, and how often it is said again. */
const SILENT_MS = { first: 3_000, again: 10_000 };

export interface WorkerProcessOptions {
  /** The module that it runs. */
  readonly entry: string;
  /** Every user of this machine may see them. */
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  /** Told all that it says. */
  readonly onMessage: (message: unknown) => void;
  /** A task of it blocks it that has ended, or is to: called past the event loop of the process, which hears nothing. Absent: it does not say so. */
  readonly onLastWords?: (words: LastWords) => void;
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

/** A worker in a process and a session of its own, so that Ctrl-C in a terminal does not reach it: who started it tells it to stop. It ends by itself when this process does. */
export interface WorkerProcess {
  /** null: it could not even be started. */
  readonly pid: number | null;
  tell(message: object): void;
  /** Asks it to end; kills it if it does not. */
  stop(how: StopKind, reason: string): void;
  kill(): void;
  /** Never rejects. */
  readonly ended: Promise<WorkerEnd>;
}

export function startWorkerProcess({ onLastWords, ...options }: WorkerProcessOptions): WorkerProcess {
  const child = fork(options.entry, options.args, {
    cwd: options.cwd,
    env: options.env,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc', onLastWords === undefined ? 'ignore' : 'pipe'],
    detached: true,
  });
  const lastWords = child.stdio[LAST_WORDS_FD] as Readable | null;
  if (lastWords !== null)
    createInterface(lastWords).on('line', (line) => {
      const words = lastWordsOf(line);
      if (words !== null) onLastWords?.(words);
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
    child.on('error', () => child.pid === undefined && end(1, null));
  });
  const tell = (message: object): void => {
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
    const told = message as LifeMessage;
    if (told.kind === 'loaded') ({ shutdownTimeoutMs } = told);
    if (told.kind === 'stopping') clearTimeout(listening);
    if (told.kind === 'ready') {
      readyAt = performance.now();
      if (stopping !== null) limitStop();
    }
    options.onMessage(message);
  });
  return {
    pid: child.pid ?? null,
    ended,
    tell,
    stop: (how, reason) => {
      tell({ kind: 'stop', how, reason } satisfies StopMessage);
      stopping = how;
      limitStop();
      expectAnswer(SILENT_MS.first);
    },
    kill: () => void child.kill('SIGKILL'),
  };
}

/** null: the process died before it had said all. */
function lastWordsOf(line: string): LastWords | null {
  try {
    return JSON.parse(line) as LastWords;
  } catch {
    return null;
  }
}
