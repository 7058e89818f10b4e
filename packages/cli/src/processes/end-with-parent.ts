import { Worker } from 'node:worker_threads';

/** How often it is looked whether the parent is still there, in milliseconds. */
const LOOK_EVERY_MS = 1_000;

/**
 * Kills this process once its parent has been gone for `graceMs`, in which it should have ended by itself. A thread sees to it, as a task may keep this one in a loop, where no signal and
 * no message is heard. Windows tells nobody that a parent has gone: there it does nothing.
 */
export function endWithParent(graceMs: number): void {
  const code = `
    const parent = process.ppid;
    const looking = setInterval(() => {
      if (process.ppid === parent) return;
      clearInterval(looking);
      setTimeout(() => process.kill(process.pid, 'SIGKILL'), ${graceMs});
    }, ${LOOK_EVERY_MS});`;
  new Worker(code, { eval: true, execArgv: [] }).unref();
}
