import { once } from 'node:events';
import type { CliIo } from './cli-io.js';

const STOP_SIGNALS = ['SIGINT', 'SIGTERM'] as const;
/** A Ctrl-C comes twice to what npx runs: from the terminal, and from npm. What comes so soon is no second one. */
const SAME_CTRL_C_MS = 250;

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
      let interruptedAt = -Infinity;
      const onSignal = (signal: NodeJS.Signals): void => {
        const now = performance.now();
        if (signal === 'SIGINT' && now - interruptedAt < SAME_CTRL_C_MS) return;
        if (signal === 'SIGINT') interruptedAt = now;
        listener(signal);
      };
      for (const signal of signals) process.on(signal, onSignal);
      return () => {
        for (const signal of signals) process.off(signal, onSignal);
      };
    },
    untilIdle: async () => {
      await once(process, 'beforeExit');
    },
  };
}
