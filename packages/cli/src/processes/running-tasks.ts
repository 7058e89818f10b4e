import type { Worker, WorkerLogger } from '@lovage/worker';

/** So many are named. */
const NAMED = 3;

/** Names the tasks that a worker runs now, in a line; null: there are none. */
export function namesOfRunning({ runningTasks }: Worker): string | null {
  if (runningTasks.length === 0) return null;
  const names = runningTasks.slice(0, NAMED).map(({ task, id }) => `${task}[${id}]`);
  const more = runningTasks.length - names.length;
  return more === 0 ? names.join(', ') : `${names.join(', ')} and ${more} more`;
}

export interface ExitReport {
  readonly logger: WorkerLogger;
  /** Somebody has asked this process to end. */
  readonly isAsked: () => boolean;
}

/** Says which tasks ran if this process ends and nobody asked it to: only here is it known which one did that, or was lost to it. */
export function reportExit(worker: Worker, { logger, isAsked }: ExitReport): void {
  process.once('exit', (code) => {
    const running = namesOfRunning(worker);
    if (running === null || isAsked()) return;
    const text = `The process ends (exit code ${code}) while ${running} ran: a task called process.exit()? What ran is delivered again`;
    logger.error(text);
  });
}
