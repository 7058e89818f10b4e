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
    onStopSignal: (listener) => {
      for (const signal of STOP_SIGNALS) process.on(signal, listener);
      return () => {
        for (const signal of STOP_SIGNALS) process.off(signal, listener);
      };
    },
    untilIdle: async () => {
      await once(process, 'beforeExit');
    },
  };
}
