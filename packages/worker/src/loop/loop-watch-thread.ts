import { writeSync } from 'node:fs';
import { Writable } from 'node:stream';
import { parentPort, workerData } from 'node:worker_threads';
import type { LoopBlock } from '@lovage/core';
import { blockFields, describeBlock, type LoopBlocker } from './loop-block.js';
import type { LoopWatchData } from './loop-watch.js';
import { probeMainThread, type Probe } from './probe-main-thread.js';

/** What LoopWatch runs in a thread: sees that the main thread's event loop does not turn, finds out why, and says so. */

/** A block of so many times what is worth a warning is told while it lasts, and again when it lasts twice as long. */
const TELL_AFTER = 5;

/** A block that lasts. */
interface Current {
  readonly since: number;
  blocker: LoopBlocker | null;
  probe: Probe | null;
  /** When the limit of the task is over; a time of performance.now. */
  limitAt: number;
  tellAt: number;
}

const { shared, thresholdMs, lookEveryMs, log, lastWordsFd } = workerData as LoopWatchData;
const [TICKS, DEBUGGED] = [0, 1];
/** That of the thread is the main thread's to write. */
const STDERR = 2;
const PAUSE = new Int32Array(new SharedArrayBuffer(4));

let seen = -1;
let turnedAt = performance.now();
let lookedAt = performance.now();
let current: Current | null = null;

setInterval(look, lookEveryMs);

function look(): void {
  const now = performance.now();
  const ticks = Atomics.load(shared, TICKS);
  // This thread was held up as well: the process was stopped, or the machine slept.
  const wasHeldUp = now - lookedAt > thresholdMs;
  lookedAt = now;
  if (ticks !== seen || Atomics.load(shared, DEBUGGED) === 1) {
    if (current !== null) endBlock(current, now);
    current = null;
    seen = ticks;
    turnedAt = now;
  } else if (wasHeldUp && current === null) {
    turnedAt = now;
  } else if (now - turnedAt >= thresholdMs) {
    current ??= {
      since: turnedAt,
      blocker: null,
      probe: null,
      limitAt: now,
      tellAt: turnedAt + TELL_AFTER * thresholdMs,
    };
    lookAt(current, now);
  }
}

function lookAt(block: Current, now: number): void {
  if (now >= block.limitAt && block.probe === null) ask(block);
  if (now < block.tellAt) return;
  block.tellAt = block.since + 2 * (now - block.since);
  void tell(blockOf(block, now));
}

function ask(block: Current): void {
  const ticks = seen;
  const probe = probeMainThread(() => Atomics.load(shared, TICKS) === ticks);
  block.probe = probe;
  void probe.found.then((blocker) => {
    block.probe = null;
    block.blocker = blocker ?? block.blocker;
    const leftMs = blocker?.limitLeftMs ?? null;
    // Asked once more when the limit is over, whoever it is then.
    block.limitAt = leftMs === null || lastWordsFd === null ? Infinity : performance.now() + Math.max(leftMs, 0);
    if (blocker === null || blocker.lastWords === null || lastWordsFd === null) return;
    block.limitAt = Infinity;
    write(lastWordsFd, Buffer.from(`${JSON.stringify(blocker.lastWords)}\n`));
  });
}

function endBlock(block: Current, now: number): void {
  block.probe?.cancel();
  parentPort?.postMessage(blockOf(block, now));
}

function blockOf({ since, blocker }: Current, now: number): LoopBlock {
  return { blockedMs: now - since, task: blocker?.task ?? null, frame: blocker?.frame ?? null };
}

/** Past the main thread, which cannot. */
async function tell(block: LoopBlock): Promise<void> {
  if (log === null) return;
  // Nearly always it is not needed.
  const { createLogger } = await import('../logger.js');
  const stream = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      write(STDERR, chunk);
      done();
    },
  });
  createLogger({ ...log, stream }).warn(describeBlock(block, { lasts: true }), blockFields(block));
}

/** All of it, or as much as can be written in a second. */
function write(fd: number, bytes: Buffer): void {
  const since = performance.now();
  for (let done = 0; done < bytes.length && performance.now() - since < 1_000;) {
    try {
      done += writeSync(fd, bytes, done);
    } catch (error) {
      // Nobody reads any more; else it is full.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return;
      Atomics.wait(PAUSE, 0, 0, 5);
    }
  }
}
