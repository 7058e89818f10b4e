import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';

/** What a worker writes with `--logformat json`. */
export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly event?: string;
  readonly [key: string]: unknown;
}

export interface LovageProcessOptions {
  /** Over this process's environment. */
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** The file that is run by node; default: the command of this repository, as built. */
  readonly bin?: string;
}

/** A command that has ended. */
export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A `lovage worker` in a process of its own. Whoever starts one stops it. */
export interface WorkerProcess {
  readonly pid: number;
  /** All that it has logged so far. */
  readonly log: readonly LogLine[];
  /** Resolves with the exit code once it has ended, for whatever reason. */
  readonly ended: Promise<number | null>;
  /** SIGTERM, as a supervisor would; resolves with the exit code. Harmless once it has ended. */
  stop(): Promise<number | null>;
  /** SIGKILL: no time to hand anything back; resolves once it is gone. */
  kill(): Promise<void>;
}

const REPOSITORY = path.join(__dirname, '..', '..');
const LOVAGE = path.join(REPOSITORY, 'packages', 'lovage', 'bin', 'lovage.js');
const READY_WITHIN_MS = 30_000;

/** Runs one command line of `lovage` to its end. */
export async function runLovage(args: readonly string[], options: LovageProcessOptions = {}): Promise<Ended> {
  return runNode([options.bin ?? LOVAGE, ...args], options);
}

/** Runs node to its end. */
export async function runNode(args: readonly string[], options: LovageProcessOptions = {}): Promise<Ended> {
  const child = start(args, options);
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (text: string) => (stdout += text));
  child.stderr?.on('data', (text: string) => (stderr += text));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}

/** Starts `lovage worker …args` and resolves when it consumes. Rejects, with what it said, if it ends before that. */
export async function startWorker(args: readonly string[], options: LovageProcessOptions = {}): Promise<WorkerProcess> {
  const child = start([options.bin ?? LOVAGE, 'worker', '--logformat', 'json', ...args], options);
  const exited = once(child, 'exit').then(([code]) => code as number | null);
  const log: LogLine[] = [];
  const raw: string[] = [];
  child.stdout?.resume();
  const ready = new Promise<void>((resolve, reject) => {
    const fail = (what: string): void =>
      reject(new Error(`expected the worker to become ready, but it ${what}:\n${raw.join('\n')}`));
    const timer = setTimeout(() => fail(`was not within ${READY_WITHIN_MS / 1000} s`), READY_WITHIN_MS);
    createInterface({ input: child.stderr as NodeJS.ReadableStream }).on('line', (text) => {
      raw.push(text);
      const line = parseLine(text);
      log.push(line);
      if (line.event === 'worker:ready') resolve();
    });
    void exited.then((code) => fail(`ended with ${code}`));
    void exited.finally(() => clearTimeout(timer));
  });
  const worker: WorkerProcess = {
    pid: child.pid as number,
    log,
    ended: exited,
    stop: () => {
      child.kill('SIGTERM');
      return exited;
    },
    kill: async () => {
      child.kill('SIGKILL');
      await exited;
    },
  };
  try {
    await ready;
  } catch (error) {
    await worker.kill();
    throw error;
  }
  return worker;
}

function start(args: readonly string[], { env, cwd }: LovageProcessOptions): ChildProcess {
  const child = spawn(process.execPath, args, {
    cwd: cwd ?? REPOSITORY,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.stdout.setEncoding('utf8');
  child.stderr.setEncoding('utf8');
  return child;
}

function parseLine(text: string): LogLine {
  try {
    return JSON.parse(text) as LogLine;
  } catch {
    return { level: 'raw', message: text };
  }
}
