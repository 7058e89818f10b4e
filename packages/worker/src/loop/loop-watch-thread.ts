import { writeSync } from 'node:fs';
import { Writable } from 'node:stream';
import { parentPort, workerData } from 'node:worker_threads';
import type { LoopBlock } from '@lovage/core';
import { blockFields, describeBlock, type LoopBlocker } from './loop-block.js';
import type { LoopWatchData, RevocationAccess } from './loop-watch.js';
import { probeMainThread, type Probe } from './probe-main-thread.js';
import { Terminations } from './terminations.js';

/** What LoopWatch runs in a thread: sees that the main thread's event loop does not turn, finds out why, and says so. */

/** A block of so many times what is worth a warning is told while it lasts, and again when it lasts twice as long. */
const TELL_AFTER = 5;

/** A block that lasts. */
interface Current {
  readonly since: number;
  blocker: LoopBlocker | null;
  probe: Probe | null;
  /** When it is to be asked who it is, and whether that is over; a time of performance.now. */
  askAt: number;
  tellAt: number;
  /** null: it is too early to look for them, or nobody can. */
  terminations: Terminations | null;
}

const { shared, thresholdMs, lookEveryMs, log, death } = workerData as LoopWatchData;
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
      askAt: now,
      tellAt: turnedAt + TELL_AFTER * thresholdMs,
      terminations: null,
    };
    lookAt(current, now);
  }
}

function lookAt(block: Current, now: number): void {
  if (now >= block.askAt && block.probe === null) ask(block);
  const access = death?.revocations ?? null;
  if (access !== null && block.blocker?.task != null && now - block.since >= access.graceMs)
    block.terminations ??= findTerminations(block, access);
  if (now < block.tellAt) return;
  block.tellAt = block.since + 2 * (now - block.since);
  const told = blockOf(block, now);
  void warn(describeBlock(told, { lasts: true }), blockFields(told));
}

function ask(block: Current): void {
  const ticks = seen;
  const revocation = block.terminations?.takeDue(block.blocker?.task?.id) ?? null;
  const probe = probeMainThread({ revocation, isOf: () => Atomics.load(shared, TICKS) === ticks });
  block.probe = probe;
  void probe.found.then((blocker) => {
    block.probe = null;
    block.blocker = blocker ?? block.blocker;
    block.askAt = Infinity;
    if (blocker === null || death === null) return;
    const { lastWords } = blocker;
    if (lastWords === null) return void (block.askAt = endOf(block, blocker));
    block.terminations?.stop();
    write(death.lastWordsFd, Buffer.from(`${JSON.stringify(lastWords)}\n`));
  });
}

/** When a task is over: it is asked once more then, whoever it is by that time. */
function endOf({ terminations }: Current, { task, limitLeftMs }: LoopBlocker): number {
  const limitAt = limitLeftMs === null ? Infinity : performance.now() + Math.max(limitLeftMs, 0);
  return Math.min(limitAt, terminations?.dueAt(task?.id) ?? Infinity);
}

function findTerminations(block: Current, access: RevocationAccess): Terminations {
  return new Terminations({
    ...access,
    onNews: () => (block.askAt = Math.min(block.askAt, performance.now())),
    onProblem: (text) => {
      const message = `whether the task that blocks this process is to be terminated cannot be seen: ${text}`;
      void warn(message, { event: 'warning' });
    },
  });
}

function endBlock(block: Current, now: number): void {
  block.probe?.cancel();
  block.terminations?.stop();
  parentPort?.postMessage(blockOf(block, now));
}

function blockOf({ since, blocker }: Current, now: number): LoopBlock {
  return { blockedMs: now - since, task: blocker?.task ?? null, frame: blocker?.frame ?? null };
}

/** Past the main thread, which cannot. */
async function warn(message: string, fields: object): Promise<void> {
  if (log === null) return;
  // Nearly always it is not needed.
  const { createLogger } = await import('../logger.js');
  const stream = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      write(STDERR, chunk);
      done();
    },
  });
  createLogger({ ...log, stream }).warn(message, fields);
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
