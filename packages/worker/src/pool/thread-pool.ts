import {
  LovageError,
  failedOutcome,
  type EventSink,
  type Outcome,
  type Runtime,
  type TaskDefinition,
} from '@lovage/core';
import type { Execution } from '../execution.js';
import { Retrier } from '../retrier.js';
import type { Pool } from './pool.js';
import type { ThreadLine, ThreadSetup } from './thread-protocol.js';
import { Thread } from './thread.js';

export interface ThreadPoolOptions {
  readonly size: number;
  readonly setup: ThreadSetup;
  /** The tasks that are to run in it. */
  readonly tasks: readonly string[];
  readonly log: (line: ThreadLine) => void;
  readonly events: EventSink;
  readonly runtime: Runtime;
}

/** What became of a task that had ended before it could run. */
const NOBODY_ASKS: Outcome = { kind: 'revoked', reason: 'it has ended' };

/**
 * Runs each task in a thread that is its alone while it runs: what keeps a processor busy there keeps nothing else waiting, and it can be stopped. Each thread loads the app for itself, once.
 * A thread that is lost is replaced, however often that takes; until then its slot is taken.
 */
export class ThreadPool implements Pool {
  readonly name = 'threads';
  readonly size: number;
  readonly #options: ThreadPoolOptions;
  /** All that there are, those included that still load the app. */
  readonly #threads = new Set<Thread>();
  readonly #idle: Thread[] = [];
  readonly #waiting: ((thread: Thread) => void)[] = [];
  readonly #replacing = new WeakMap<Execution, Promise<void>>();
  readonly #stopping = new AbortController();
  readonly #retrier: Retrier;

  constructor(options: ThreadPoolOptions) {
    this.#options = options;
    this.size = options.size;
    const { events, runtime } = options;
    this.#retrier = new Retrier({ what: 'replacing a thread', events, runtime, signal: this.#stopping.signal });
  }

  /** @throws LOVAGE_APP_NOT_FOUND: a thread cannot load the app; LOVAGE_USAGE: it does not find the worker's tasks in it. */
  async start(): Promise<void> {
    await Promise.all(Array.from({ length: this.size }, () => this.#open()));
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all([...this.#threads].map((thread) => thread.stop()));
  }

  async run(execution: Execution): Promise<Outcome> {
    const thread = this.#idle.pop() ?? (await this.#next());
    if (execution.decided) {
      this.#put(thread);
      return NOBODY_ASKS;
    }
    try {
      const outcome = await thread.run(execution);
      this.#put(thread);
      return outcome;
    } catch (error) {
      // As if the task had thrown it: it was the only one there.
      const { request, definition } = execution;
      const run = { request, definition: definition as TaskDefinition, host: execution, isPermanent: false };
      return failedOutcome(error, run);
    }
  }

  kill(execution: Execution): boolean {
    for (const thread of this.#threads) {
      if (thread.execution !== execution) continue;
      this.#lost(thread);
      thread.kill();
    }
    return true;
  }

  replaced(execution: Execution): Promise<void> | null {
    return this.#replacing.get(execution) ?? null;
  }

  async #open(): Promise<void> {
    const { setup, log } = this.#options;
    let isOpen = false;
    // One that dies before it is open is tried again by whoever opens it.
    const died = (): void => {
      if (isOpen) this.#lost(thread);
    };
    const thread = new Thread({ setup, log, died });
    this.#threads.add(thread);
    try {
      this.#assertKnown(await thread.loaded);
      isOpen = true;
    } catch (error) {
      this.#threads.delete(thread);
      thread.kill();
      if (this.#stopping.signal.aborted) return;
      throw error;
    }
    this.#put(thread);
  }

  #assertKnown(known: readonly string[]): void {
    const unknown = this.#options.tasks.filter((task) => !known.includes(task));
    if (unknown.length === 0) return;
    const text = `the app that threads load from ${this.#options.setup.app} has no task ${unknown.join(', ')}: register tasks where the app is made, or have them discovered`;
    throw new LovageError('LOVAGE_USAGE', text);
  }

  #put(thread: Thread): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#idle.push(thread);
    else next(thread);
  }

  // There are as many slots as threads, so that nobody waits here but for one that died idle.
  #next(): Promise<Thread> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #lost(thread: Thread): void {
    this.#threads.delete(thread);
    const { execution } = thread;
    const index = this.#idle.indexOf(thread);
    if (index >= 0) this.#idle.splice(index, 1);
    const replaced = this.#replace();
    if (execution !== null) this.#replacing.set(execution, replaced);
  }

  #replace(): Promise<void> {
    return this.#retrier.untilStopped(() => this.#retrier.run(() => this.#open()));
  }
}
