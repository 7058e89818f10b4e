import { execFile, execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { failedWith } from './embedded-errors.js';
import type { Home } from './embedded-home.js';
import { isAlive } from './embedded-lock.js';
import { startGuarded, type StopStep } from './embedded-process.js';

/** Fast: connections are cut. Immediate: as a crash. The last should never be needed. */
const STOP: readonly StopStep[] = [
  { signal: 'SIGINT', afterMs: 0 },
  { signal: 'SIGQUIT', afterMs: 10_000 },
  { signal: 'SIGKILL', afterMs: 20_000 },
];
const POLL_MS = 25;
/** After that the start of a server is worth a word: it mends what a crash has left. */
const SLOW_MS = 5_000;
/** Helpers of a killed server end by themselves, and until then hold the memory they shared with it. */
const HELPERS_MS = 10_000;

export interface ServerOptions {
  readonly home: Home;
  /** The folder of the executables. */
  readonly bin: string;
  readonly port: number;
  readonly signal: AbortSignal;
  readonly onProgress: (text: string) => void;
}

/** A server that takes connections. */
export interface Server {
  /** Resolves when its processes are gone, also where its guard was killed. */
  readonly ended: Promise<void>;
  /** Resolves when its processes are gone. */
  stop(): Promise<void>;
}

/** Starts the server and waits until it takes connections. Resolves to why not, if the port cannot be had. */
export async function startServer(options: ServerOptions): Promise<Server | { readonly portTaken: string }> {
  const { home, signal } = options;
  const deadline = Date.now() + HELPERS_MS;
  for (;;) {
    const before = startedServer(home);
    const server = launch(options);
    if (await isReady(server, { ...options, before })) return server;
    await server.stop();
    signal.throwIfAborted();
    const said = logOf(home);
    const bind = /could not bind .*: (.*)/.exec(said);
    if (bind) return { portTaken: bind[1] ?? '' };
    if (!said.includes('pre-existing shared memory block') || Date.now() > deadline)
      throw failedWith('PostgreSQL did not start', lastWords(home), home.data);
    await pause(100);
  }
}

/** The end of the server's log. */
export function lastWords(home: Home): string {
  return logOf(home).trimEnd().split('\n').slice(-15).join('\n');
}

function launch({ home, bin, port }: ServerOptions): Server {
  const settings = {
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: 100,
    logging_collector: 'off',
    log_timezone: 'UTC',
    timezone: 'UTC',
  };
  const log = fs.openSync(home.logFile, 'w', 0o600);
  const running = startGuarded({
    command: path.join(bin, 'postgres'),
    args: ['-D', home.data, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
    cwd: home.home,
    user: home.user,
    stop: STOP,
    output: log,
    label: home.data,
  });
  fs.closeSync(log);
  const ended = running.ended
    .then(() => stopLeftServer(home, bin)) // the guard may have been killed
    .then(
      () => {},
      () => {}, // what cannot be seen now, the next start will find
    );
  return {
    ended,
    stop() {
      running.stop();
      return ended;
    },
  };
}

interface ReadyOptions extends ServerOptions {
  /** The server that ran last. */
  readonly before: string | null;
}

/** False: it has ended, or is no longer wanted. */
async function isReady(server: Server, { home, signal, onProgress, before }: ReadyOptions): Promise<boolean> {
  let running = true;
  void server.ended.then(() => (running = false));
  const slow = setTimeout(() => onProgress(`PostgreSQL is still starting, see ${home.logFile} …`), SLOW_MS);
  try {
    while (running && !signal.aborted) {
      const started = startedServer(home);
      if (started !== null && started !== before) return true;
      await pause(POLL_MS);
    }
    return false;
  } finally {
    clearTimeout(slow);
  }
}

/**
 * The server that takes connections by its own lock, as its process and its start; null: there is none.
 * Not by its log: that cannot be written on a full disk. The lock of a killed server stays.
 */
function startedServer({ data }: Home): string | null {
  const lines = contentOf(lockOf(data))?.split('\n');
  return lines?.[7]?.trim() === 'ready' ? lines.slice(0, 3).join('\n') : null;
}

function logOf({ logFile }: Home): string {
  return contentOf(logFile) ?? '';
}

/**
 * Ends a server of this data that nobody guards any more, and removes its lock where that names a process of somebody else:
 * PostgreSQL removes one whose process is gone, but takes any process of its user for a server.
 * @returns whether there was one
 */
export async function stopLeftServer({ data }: Home, bin: string): Promise<boolean> {
  const pid = Number.parseInt(contentOf(lockOf(data)) ?? '', 10);
  // In single-user mode, which ends by itself, it is negative.
  if (!(pid > 0) || !isAlive(pid)) return false;
  if (process.platform === 'win32') {
    // It knows a server from another process by the pipe that it listens on.
    return new Promise((resolve) => {
      execFile(path.join(bin, 'pg_ctl'), ['stop', '-D', data, '-m', 'fast', '-w'], (error) => resolve(error === null));
    });
  }
  if (!isServerOf(data, pid)) {
    fs.rmSync(lockOf(data), { force: true });
    return false;
  }
  const start = Date.now();
  const steps = [...STOP];
  while (isServerOf(data, pid)) {
    if (steps[0] !== undefined && Date.now() - start >= steps[0].afterMs) signalTo(pid, steps.shift()?.signal);
    await pause(POLL_MS);
  }
  return true;
}

function lockOf(data: string): string {
  return path.join(data, 'postmaster.pid');
}

/** null: there is none, or none that can be read: PostgreSQL itself will say so where it matters. */
function contentOf(file: string): string | null {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}

/** By its command line: a process that has ended but is not reaped yet has none. */
function isServerOf(data: string, pid: number): boolean {
  try {
    if (process.platform === 'linux') {
      const words = fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      return path.basename(words[0] ?? '') === 'postgres' && words.includes(data);
    }
    const line = execFileSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' });
    return line.includes('postgres') && line.includes(` ${data} `);
  } catch {
    return false;
  }
}

function signalTo(pid: number, signal: NodeJS.Signals | undefined): void {
  try {
    process.kill(pid, signal);
  } catch {
    // gone already
  }
}
