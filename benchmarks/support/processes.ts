import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import { createInterface } from 'node:readline';

export interface Command {
  /** Default: this Node. */
  readonly program?: string;
  readonly args: readonly string[];
  /** Over this process's environment. */
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
}

const running = new Set<ChildProcess>();
let interruptedBy: NodeJS.Signals | null = null;

/** Characters of a log that are kept. */
const LOG_KEPT = 10_000;

/**
 * From now on SIGINT, SIGTERM and SIGHUP end the processes that were started here, instead of this one: what waits for them throws, every `finally`
 * on the way cleans up, and this process ends with 128 + n.
 */
export function endWithChildren(): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      interruptedBy = signal;
      process.exitCode = 128 + constants.signals[signal];
      for (const child of running) child.kill('SIGTERM');
    });
  }
}

/** Throws once a signal has come that `endWithChildren` handles. */
export function throwIfInterrupted(): void {
  if (interruptedBy !== null) throw new Error(`ended by ${interruptedBy}`);
}

/** Whether a signal that `endWithChildren` handles has come: what failed since then failed because of it. */
export function isInterrupted(): boolean {
  return interruptedBy !== null;
}

/** A process that runs until it is stopped. */
export interface Service {
  readonly child: ChildProcess;
  /** What it has said on standard error so far. */
  readonly log: () => string;
}

/** Starts a process with its standard output on a pipe, which somebody must read; whoever starts it stops it. */
export function start(command: Command): Service {
  const child = spawned(command, ['ignore', 'pipe', 'pipe']);
  let log = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (log = (log + text).slice(-LOG_KEPT)));
  return { child, log: () => log };
}

/** Starts a process, gives it to `use`, and stops it. Rejects as soon as it ends by itself. */
export async function withService<T>(
  { name, command }: { readonly name: string; readonly command: Command },
  use: (service: Service) => Promise<T>,
): Promise<T> {
  const service = start(command);
  const ended = once(service.child, 'exit').then(() => {
    throw new Error(`${name} ended with ${endOf(service.child)} before its time:\n${service.log()}`);
  });
  ended.catch(() => undefined);
  try {
    return await Promise.race([use(service), ended]);
  } finally {
    await stop(service);
  }
}

/** Runs a process to its end and reads the JSON of the last line that it prints. Rejects if it fails. */
export async function lastLineOf<T>(command: Command): Promise<T> {
  const child = spawned(command, ['ignore', 'pipe', 'inherit']);
  let last = '';
  createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => (last = line));
  await succeeded(child, command);
  return JSON.parse(last) as T;
}

/** Runs a process to its end; rejects if it fails. */
export async function succeed(command: Command): Promise<void> {
  await succeeded(spawned(command, ['ignore', 'ignore', 'inherit']), command);
}

/** SIGTERM, and waits for the end. Harmless once it has ended. */
export async function stop({ child }: Service): Promise<void> {
  if (hasEnded(child)) return;
  child.kill('SIGTERM');
  await once(child, 'exit');
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

function endOf({ exitCode, signalCode }: ChildProcess): string {
  return signalCode ?? `code ${exitCode}`;
}

function spawned({ program = process.execPath, args, env, cwd }: Command, stdio: StdioOptions): ChildProcess {
  throwIfInterrupted();
  const child = spawn(program, args, { stdio, cwd, env: { ...process.env, ...env } });
  running.add(child);
  child.once('exit', () => running.delete(child));
  return child;
}

async function succeeded(child: ChildProcess, { args }: Command): Promise<void> {
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  if (code !== 0) throw new Error(`${args.slice(0, 2).join(' ')} ended with ${signal ?? `code ${code}`}`);
}
