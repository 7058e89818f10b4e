import { LovageError, encodeError, type Outcome } from '@lovage/core';
import type { Execution } from './execution.js';

/**
 * From so many unended starts on a task runs alone in its process: if it is what kills it, nobody dies with it again. Two, not one: what merely ran beside it
 * has as many starts as it the first times, and is not to be slowed down for a worker that was killed once.
 */
const ALONE_FROM = 2;

/** Whether nothing may run beside this execution. */
export function runsAlone({ starts }: Execution): boolean {
  return starts >= ALONE_FROM;
}

/** How a task ends that is not started again. */
export function poisonOutcome({ request: { id }, starts }: Execution): Outcome {
  const text =
    `it was started ${starts} times after its first delivery, and each time its worker ended before it did (worker.maxStarts): ` +
    `look for process.exit(), a crash of native code, or too little memory. Once that is mended, run it with: lovage retry ${id}`;
  // Where that is said in our code tells nobody anything.
  return { kind: 'failure', error: { ...encodeError(new LovageError('LOVAGE_POISON', text)), stack: null } };
}
