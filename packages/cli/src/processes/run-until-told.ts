import type { StopReport, Worker, WorkerLogger } from '@lovage/worker';
import type { Parent, StopRequest } from './parent.js';

/** The longest there is: `drain` waits for as long as a task takes. To be the worker's shutdownTimeout; what a stop may take is decided here. */
export const NO_END = '24d';
/** How often it is said what a stop without end waits for. */
const SAY_EVERY_MS = 10_000;

export interface Waiting {
  readonly logger: WorkerLogger;
  /** How long running tasks may go on; null: as long as they take, and it is said again and again. */
  readonly limitMs: (how: StopRequest) => number | null;
  /** What is waited for; null: nothing. */
  readonly describe: (limitMs: number | null) => string | null;
}

/** Runs a worker until its parent says stop or is gone. */
export function runUntilTold(
  worker: Worker,
  parent: Parent<{ readonly kind: 'ready' }>,
  { logger, limitMs, describe }: Waiting,
): Promise<StopReport> {
  return new Promise<StopReport>((resolve, reject) => {
    let endWait = (): void => undefined;
    parent.onStop((how, reason) => {
      endWait();
      endWait = waitAtMost(limitMs(how));
      worker
        .stop({ reason, now: how === 'now' })
        .finally(() => endWait())
        .then(resolve, reject);
    });
    worker.start().then(
      () => parent.tell({ kind: 'ready' }),
      (error: Error) => {
        // After a stop nobody waits for the start any more.
        if (!parent.stopped) reject(error);
      },
    );
  });

  /** The function returned ends it. */
  function waitAtMost(ms: number | null): () => void {
    const say = (): void => {
      const text = describe(ms);
      if (text !== null) logger.warn(text);
    };
    if (ms !== 0) say();
    if (ms === null) {
      const saying = setInterval(say, SAY_EVERY_MS);
      return () => clearInterval(saying);
    }
    const limit = setTimeout(() => void worker.stop({ now: true }), ms);
    return () => clearTimeout(limit);
  }
}
