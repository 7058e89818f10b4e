import path from 'node:path';
import { Worker as NodeWorker } from 'node:worker_threads';
import { LovageError, isLovageError, reviveError, type ErrorRecord, type Outcome } from '@lovage/core';
import type { Execution } from '../execution.js';
import type { FromThread, ThreadLine, ThreadSetup, ToThread } from './thread-protocol.js';

/** What was built, wherever this stands: a thread runs no TypeScript. */
const ENTRY = path.join(__dirname, '..', '..', 'dist', 'pool', 'thread-entry.js');
/** How long a thread may take to close what its app has opened. */
const STOP_MS = 500;

export interface ThreadOptions {
  readonly setup: ThreadSetup;
  readonly log: (line: ThreadLine) => void;
  /** It has ended, and nobody asked it to. Told before its task is. */
  readonly died: (thread: Thread) => void;
}

interface Running {
  readonly execution: Execution;
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (error: LovageError) => void;
}

/** One thread with an app of its own in it, which runs one task at a time. */
export class Thread {
  /** The names of the tasks that it knows; rejects with why it could not load the app. */
  readonly loaded: Promise<readonly string[]>;
  readonly #options: ThreadOptions;
  readonly #worker: NodeWorker;
  readonly #exited: Promise<void>;
  #running: Running | null = null;
  #ended = false;
  #onLoaded: (tasks: readonly string[]) => void = () => undefined;
  #onFailed: (error: Error) => void = () => undefined;

  constructor(options: ThreadOptions) {
    this.#options = options;
    this.loaded = new Promise((resolve, reject) => {
      this.#onLoaded = resolve;
      this.#onFailed = reject;
    });
    this.#worker = new NodeWorker(ENTRY, { workerData: options.setup });
    this.#worker.on('message', (message: FromThread) => this.#receive(message));
    this.#worker.on('error', (error) => this.#end(diedOf(error)));
    this.#exited = new Promise((resolve) => {
      this.#worker.once('exit', (code) => {
        this.#end(exitedWith(code));
        resolve();
      });
    });
  }

  get execution(): Execution | null {
    return this.#running?.execution ?? null;
  }

  /** Runs a task; rejects with LOVAGE_THREAD_DIED when the thread ends before it. */
  run(execution: Execution): Promise<Outcome> {
    const { request, maxResultSize, canRetry, signal } = execution;
    const abort = (): void => this.#send({ kind: 'abort', abort: abortOf(execution) });
    return new Promise<Outcome>((resolve, reject) => {
      this.#running = { execution, resolve, reject };
      this.#send({ kind: 'run', run: { request, maxResultSize, canRetry } });
      if (signal.aborted) abort();
      else signal.addEventListener('abort', abort);
    }).finally(() => signal.removeEventListener('abort', abort));
  }

  /** Ends it at once, whatever it does; nobody is told. */
  kill(): void {
    this.#ended = true;
    void this.#worker.terminate();
    this.#running?.reject(exitedWith(1));
    this.#running = null;
  }

  /** Lets it close what its app has opened, and ends it. */
  async stop(): Promise<void> {
    this.#ended = true;
    this.#send({ kind: 'stop' });
    const late = setTimeout(() => void this.#worker.terminate(), STOP_MS);
    await this.#exited;
    clearTimeout(late);
  }

  #send(message: ToThread): void {
    this.#worker.postMessage(message);
  }

  #receive(message: FromThread): void {
    switch (message.kind) {
      case 'loaded':
        return this.#onLoaded(message.tasks);
      case 'failed':
        return this.#onFailed(failureOf(message.error));
      case 'line':
        return this.#options.log(message.line);
      case 'progress':
        return this.#running?.execution.reportProgress(message.json);
      case 'ended': {
        const running = this.#running;
        this.#running = null;
        return running?.resolve(message.outcome);
      }
    }
  }

  #end(error: LovageError): void {
    this.#onFailed(error);
    if (this.#ended) return;
    this.#ended = true;
    this.#options.died(this);
    this.#running?.reject(error);
    this.#running = null;
  }
}

function abortOf(execution: Execution): Extract<ToThread, { readonly kind: 'abort' }>['abort'] {
  const { reason } = execution.signal as { readonly reason: unknown };
  const error = isLovageError(reason) ? reason : new LovageError('LOVAGE_STOPPED', String(reason));
  return { code: error.code, message: error.message, isInterruption: execution.interrupted };
}

function failureOf(record: ErrorRecord): LovageError {
  const text = `a thread could not load the app: ${record.message}`;
  return new LovageError('LOVAGE_APP_NOT_FOUND', text, { cause: reviveError(record) });
}

function diedOf(cause: unknown): LovageError {
  return threadDied(`died: ${cause instanceof Error ? cause.message : String(cause)}`);
}

function exitedWith(code: number): LovageError {
  return threadDied(`ended with exit code ${code}: did it call process.exit()?`);
}

// What it was doing nobody knows, and where that was noticed is of no use.
function threadDied(how: string): LovageError {
  const error = new LovageError('LOVAGE_THREAD_DIED', `the thread that ran the task ${how}`);
  return Object.defineProperty(error, 'stack', { value: undefined });
}
