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
    const server = launch(options);
    if (await isReady(server, options)) return server;
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

/** False: it has ended, or is no longer wanted. */
async function isReady(server: Server, { home, signal, onProgress }: ServerOptions): Promise<boolean> {
  let running = true;
  void server.ended.then(() => (running = false));
  const slow = setTimeout(() => onProgress(`PostgreSQL is still starting, see ${home.logFile} …`), SLOW_MS);
  try {
    while (running && !signal.aborted) {
      if (logOf(home).includes('database system is ready to accept connections')) return true;
      await pause(POLL_MS);
    }
    return false;
  } finally {
    clearTimeout(slow);
  }
}

function logOf({ logFile }: Home): string {
  try {
    return fs.readFileSync(logFile, 'utf8');
  } catch {
    return ''; // somebody removed it
  }
}

/**
 * Ends a server of this data that nobody guards any more, and removes its lock where that names a process of somebody else:
 * PostgreSQL removes one whose process is gone, but takes any process of its user for a server.
 * @returns whether there was one
 */
export async function stopLeftServer({ data }: Home, bin: string): Promise<boolean> {
  const lock = path.join(data, 'postmaster.pid');
  const pid = pidIn(lock);
  if (pid === null || !isAlive(pid)) return false;
  if (process.platform === 'win32') {
    // It knows a server from another process by the pipe that it listens on.
    return new Promise((resolve) => {
      execFile(path.join(bin, 'pg_ctl'), ['stop', '-D', data, '-m', 'fast', '-w'], (error) => resolve(error === null));
    });
  }
  if (!isServerOf(data, pid)) {
    fs.rmSync(lock, { force: true });
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

function pidIn(lock: string): number | null {
  try {
    const pid = Number.parseInt(fs.readFileSync(lock, 'utf8'), 10);
    return pid > 0 ? pid : null;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
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
