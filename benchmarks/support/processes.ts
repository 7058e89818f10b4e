import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { createInterface } from 'node:readline';

export interface ProcessOptions {
  /** Over this process's environment. */
  readonly env?: NodeJS.ProcessEnv;
}

const running = new Set<ChildProcess>();
let interruptedBy: NodeJS.Signals | null = null;

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

/** Whether a signal that `endWithChildren` handles has come: what failed since then failed because of it. */
export function isInterrupted(): boolean {
  return interruptedBy !== null;
}

/** Starts node; whoever starts it stops it. */
export function start(args: readonly string[], { env }: ProcessOptions = {}): ChildProcess {
  return startNode(args, { env, stdio: ['ignore', 'inherit', 'inherit'] });
}

/** Runs node to its end and reads the JSON of the last line that it prints. Rejects if it fails. */
export async function lastLineOf<T>(args: readonly string[], { env }: ProcessOptions = {}): Promise<T> {
  const child = startNode(args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  let last = '';
  createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => (last = line));
  await succeeded(child, args);
  return JSON.parse(last) as T;
}

/** What a subject that enqueues prints last: {"perSecond": …}. */
export async function rateOf(args: readonly string[], options: ProcessOptions = {}): Promise<number> {
  return (await lastLineOf<{ perSecond: number }>(args, options)).perSecond;
}

/** Runs node to its end; rejects if it fails. */
export async function succeed(args: readonly string[], { env }: ProcessOptions = {}): Promise<void> {
  await succeeded(startNode(args, { env, stdio: ['ignore', 'ignore', 'inherit'] }), args);
}

/** SIGTERM, and waits for the end. Harmless once it has ended. */
export async function stop(child: ChildProcess): Promise<void> {
  child.kill('SIGTERM');
  if (!hasEnded(child)) await once(child, 'exit');
}

export function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

/** Resident memory of a process in MB; NaN where there is no /proc. */
export function rssOf({ pid }: ChildProcess): number {
  try {
    const line = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return Number(line?.[1] ?? NaN) / 1024;
  } catch {
    return NaN;
  }
}

function startNode(
  args: readonly string[],
  { env, stdio }: { env: NodeJS.ProcessEnv | undefined; stdio: StdioOptions },
): ChildProcess {
  if (interruptedBy !== null) throw new Error(`ended by ${interruptedBy}`);
  const child = spawn(process.execPath, [...args], { stdio, env: { ...process.env, ...env } });
  running.add(child);
  child.once('exit', () => running.delete(child));
  return child;
}

async function succeeded(child: ChildProcess, args: readonly string[]): Promise<void> {
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  if (code !== 0) throw new Error(`${args.join(' ')} ended with ${signal ?? `code ${code}`}`);
}
