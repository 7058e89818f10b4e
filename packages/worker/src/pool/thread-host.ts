import { LovageError, type ExecutionHost, type Lovage, type TaskLogger } from '@lovage/core';
import type { FromThread, ThreadAbort, ThreadRun } from './thread-protocol.js';

export interface ThreadHostOptions {
  readonly app: Lovage;
  readonly run: ThreadRun;
  readonly log: TaskLogger;
  readonly tell: (message: FromThread) => void;
  /** Takes in at once what the worker has sent: a task that keeps the thread busy gives it no other time to. */
  readonly poll: () => void;
}

/** What a task in a thread is given: as an Execution gives it on the worker's event loop. */
export class ThreadHost implements ExecutionHost {
  readonly resolver: ExecutionHost['resolver'];
  readonly runtime: ExecutionHost['runtime'];
  readonly log: TaskLogger;
  readonly maxResultSize: number | null;
  readonly canRetry: boolean;
  // A thread whose task has ended without it is no more.
  readonly decided = false;
  readonly #options: ThreadHostOptions;
  #controller: AbortController | null = null;
  #abort: { readonly reason: LovageError; readonly isInterruption: boolean } | null = null;

  constructor(options: ThreadHostOptions) {
    this.#options = options;
    this.resolver = options.app.resolver;
    this.runtime = options.app.runtime;
    this.log = options.log;
    this.maxResultSize = options.run.maxResultSize;
    this.canRetry = options.run.canRetry;
  }

  get signal(): AbortSignal {
    if (this.#controller === null) {
      this.#controller = new AbortController();
      if (this.#abort === null) watch(this.#controller.signal, this.#options.poll);
      else this.#controller.abort(this.#abort.reason);
    }
    return this.#controller.signal;
  }

  get interrupted(): boolean {
    return this.#abort?.isInterruption === true && (this.#controller?.signal.aborted ?? false);
  }

  abort({ code, message, isInterruption }: ThreadAbort): void {
    this.#abort = { reason: new LovageError(code, message), isInterruption };
    this.#controller?.abort(this.#abort.reason);
  }

  reportProgress(json: string): void {
    this.#options.tell({ kind: 'progress', json });
  }
}

// eslint-disable-next-line @typescript-eslint/unbound-method -- called with the signal that it is asked of
const isAborted = Object.getOwnPropertyDescriptor(AbortSignal.prototype, 'aborted')?.get as () => boolean;

/** Whoever looks at the signal sees what has been sent by now, even in a loop that never awaits. */
function watch(signal: AbortSignal, poll: () => void): void {
  Object.defineProperty(signal, 'aborted', {
    get: () => {
      if (!isAborted.call(signal)) poll();
      return isAborted.call(signal);
    },
  });
}
