import { Session } from 'node:inspector';
import type { Revocation } from '@lovage/core';
import type { LoopBlocker } from './loop-block.js';

/** Where the main thread keeps what is evaluated in it: a function of a Revocation or null that gives a LoopBlocker as JSON. */
export const PROBE = 'lovage.loop.probe';

export interface Probe {
  /** null: it was not answered before `cancel`, or what it found is of no use. */
  readonly found: Promise<LoopBlocker | null>;
  cancel(): void;
}

export interface ProbeOptions {
  /** For which the task, if it is that one, is to end now. */
  readonly revocation: Revocation | null;
  /** Called while the main thread is paused: false if what it runs now is not what was to be looked at. */
  readonly isOf: () => boolean;
}

/**
 * In a thread: interrupts the JavaScript that the main thread runs, as a debugger does, and asks there which task it is. A pause of milliseconds; where the main thread is in native code, when it
 * comes out of that.
 */
export function probeMainThread({ revocation, isOf }: ProbeOptions): Probe {
  const session = new Session();
  let end: (blocker: LoopBlocker | null) => void = () => undefined;
  const found = new Promise<LoopBlocker | null>((resolve) => (end = resolve));
  let isClosed = false;
  const close = (blocker: LoopBlocker | null): void => {
    if (isClosed) return;
    isClosed = true;
    // What is pending or paused goes on.
    session.post('Debugger.resume', () => undefined);
    session.post('Debugger.disable', () => {
      session.disconnect();
      end(blocker);
    });
  };
  session.connectToMainThread();
  session.on('Debugger.paused', () => {
    if (!isOf()) return close(null);
    const expression = `globalThis[Symbol.for(${JSON.stringify(PROBE)})]?.(${JSON.stringify(revocation)})`;
    session.post('Runtime.evaluate', { expression, returnByValue: true }, (error, answer) => {
      const value: unknown = error === null ? answer.result.value : undefined;
      close(typeof value === 'string' ? (JSON.parse(value) as LoopBlocker) : null);
    });
  });
  session.post('Debugger.enable');
  session.post('Debugger.pause');
  return { found, cancel: () => close(null) };
}
