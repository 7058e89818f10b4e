import { once } from 'node:events';
import type { CliIo } from './cli-io.js';

const STOP_SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/** This process, as the commands see it. */
export function processIo(): CliIo {
  return {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    cwd: process.cwd(),
    onStopSignal: (listener, { hangUp = false } = {}) => {
      const signals: readonly NodeJS.Signals[] = hangUp ? [...STOP_SIGNALS, 'SIGHUP'] : STOP_SIGNALS;
      for (const signal of signals) process.on(signal, listener);
      return () => {
        for (const signal of signals) process.off(signal, listener);
      };
    },
    untilIdle: async () => {
      await once(process, 'beforeExit');
    },
  };
}
