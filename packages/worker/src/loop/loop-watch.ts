import { url } from 'node:inspector';
import path from 'node:path';
import { Worker as Thread } from 'node:worker_threads';
import { TaskContext, type EventSink, type LoopBlock, type Revocation } from '@lovage/core';
import type { LoggerOptions } from '../logger.js';
import type { ThreadSetup } from '../pool/thread-protocol.js';
import type { BlockerEnd, LoopBlocker } from './loop-block.js';
import { NO_END } from './last-words.js';
import { PROBE } from './probe-main-thread.js';

export interface LoopWatchOptions {
  readonly events: EventSink;
  /** A block of so many milliseconds is worth a warning. */
  readonly thresholdMs: number;
  /** How a block is told while it lasts, on standard error, past the logger, which is blocked too; null: it is not. */
  readonly log: Omit<LoggerOptions, 'stream'> | null;
  /** How a process dies for a task whose code blocks it though the task has ended: its hard time limit is over, or it was to be terminated. null: it does not. */
  readonly death: LoopDeath | null;
}

export interface LoopDeath {
  /** A file descriptor, to which LastWords are written as a line of JSON. Whoever reads them ends this process. */
  readonly lastWordsFd: number;
  /** How much of its hard time limit a task of this process has left, and, if none, or this revocation is the task's, its end. Called while this thread is paused. */
  readonly endOf: (task: RunningTask, revocation: Revocation | null) => BlockerEnd;
  /** How it is found out what is revoked meanwhile; null: nothing can be. */
  readonly revocations: RevocationAccess | null;
}

export interface RevocationAccess {
  /** The app, whose revocations are read. */
  readonly app: ThreadSetup;
  /** How long a task may go on that is to be terminated. Nobody looks for that in a block that is shorter. */
  readonly graceMs: number;
}

export type RunningTask = Pick<TaskContext, 'id' | 'attempt'>;

/** What the thread is given. */
export interface LoopWatchData {
  /** [how often the loop has turned, whether a debugger may be what holds it] */
  readonly shared: Int32Array;
  readonly thresholdMs: number;
  readonly lookEveryMs: number;
  readonly log: LoopWatchOptions['log'];
  readonly death: Omit<LoopDeath, 'endOf'> | null;
}

/** How often the loop shows that it turns, and is looked at: each fifth of what is worth a warning, within these. Five times a second cost an idle worker half a percent of a core. */
const LOOK_MS = { least: 5, most: 200 };

/**
 * Watches this thread's event loop from another one, for processes that are workers and nothing else. When it has not turned for a while the JavaScript that runs is interrupted, as by a debugger, and asked which task
 * it is: so what blocks is named, in whatever the task awaited before, and a task that does not block pays nothing. Emits `loop:blocked` when the loop turns again.
 */
export class LoopWatch {
  readonly #options: LoopWatchOptions;
  readonly #shared = new Int32Array(new SharedArrayBuffer(8));
  #ticking: NodeJS.Timeout | undefined;
  #thread: Thread | null = null;

  constructor(options: LoopWatchOptions) {
    this.#options = options;
  }

  start(): void {
    const { thresholdMs, log, death, events } = this.#options;
    const lookEveryMs = Math.min(Math.max(thresholdMs / 5, LOOK_MS.least), LOOK_MS.most);
    Reflect.set(globalThis, Symbol.for(PROBE), (revocation: Revocation | null) =>
      JSON.stringify(this.#blocker(revocation)),
    );
    this.#ticking = setInterval(() => this.#tick(), lookEveryMs).unref();
    const data: LoopWatchData = {
      shared: this.#shared,
      thresholdMs,
      lookEveryMs,
      log,
      death: death === null ? null : { lastWordsFd: death.lastWordsFd, revocations: death.revocations },
    };
    this.#thread = new Thread(path.join(__dirname, 'loop-watch-thread.js'), { workerData: data, execArgv: [] });
    this.#thread.unref();
    this.#thread.on('message', (block: LoopBlock) => events.emit('loop:blocked', block));
    this.#thread.on('error', (error) => {
      events.emit('warning', { message: 'the event loop is not watched', error });
    });
  }

  async stop(): Promise<void> {
    clearInterval(this.#ticking);
    Reflect.deleteProperty(globalThis, Symbol.for(PROBE));
    await this.#thread?.terminate();
    this.#thread = null;
  }

  #tick(): void {
    Atomics.add(this.#shared, 0, 1);
    Atomics.store(this.#shared, 1, url() === undefined ? 0 : 1);
  }

  /** Evaluated by the thread, on top of the stack of what blocks. */
  #blocker(revocation: Revocation | null): LoopBlocker {
    const context = TaskContext.find();
    return {
      task: context === undefined ? null : { id: context.id, name: context.task },
      frame: frameOf(new Error().stack ?? ''),
      ...(context === undefined ? NO_END : (this.#options.death?.endOf(context, revocation) ?? NO_END)),
    };
  }
}

/** The innermost frame of the app's own, else of a library; null: there is none. */
function frameOf(stack: string): string | null {
  const frames = stack.split('\n').flatMap((line) => /^ +at (?:async )?(.*)$/.exec(line)?.[1] ?? []);
  const outside = frames.slice(frames.findIndex((frame) => frame.startsWith('<anonymous>:')) + 1);
  const inFiles = outside.filter((frame) => !/\bnode:|<anonymous>\)?$/.test(frame));
  return inFiles.find((frame) => !/[\\/]node_modules[\\/]/.test(frame)) ?? inFiles[0] ?? null;
}
