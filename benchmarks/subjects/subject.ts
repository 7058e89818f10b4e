import { randomUUID } from 'node:crypto';
import type { Readings, Turn } from '../runner/case.js';
import { type Command, lastLineOf } from '../support/processes.js';

/** What is sent and run; programmes/load.mjs reads it. */
export interface Load {
  readonly queue: string;
  readonly tasks: number;
  /** Default: add, which returns the sum of two numbers. */
  readonly kind?: 'add' | 'text' | 'sleep' | 'burn' | 'object' | 'order';
  /** Bytes of a text, milliseconds of a sleep, turns of a burn. */
  readonly size?: number;
  /** One after the other, as many unconfirmed as the caller's window holds (default), or a thousand in one call. */
  readonly how?: 'single' | 'pipelined' | 'bulk';
}

/** A system that is measured. */
export interface Subject {
  readonly name: string;
  /** Resolves to calls a second. */
  enqueue(load: Load): Promise<number>;
  /** Runs a worker on what was enqueued: `execute`, `cpu` and `rss`, see support/execution.ts. */
  execute(load: Load): Promise<Readings>;
  /** Removes what is left of it. */
  clear(load: Load): Promise<void>;
}

/** Sends and runs: the readings `enqueue`, `execute`, `cpu` and `rss`. */
export function turnOf(subject: Subject, load: Omit<Load, 'queue'>): Turn {
  return onOwnQueue(subject, load, async (own) => {
    const enqueue = await subject.enqueue(own);
    return { enqueue, ...(await subject.execute(own)) };
  });
}

/** Only sends: the reading `enqueue`. */
export function callerTurnOf(subject: Subject, load: Omit<Load, 'queue'>, name = subject.name): Turn {
  return { ...onOwnQueue(subject, load, async (own) => ({ enqueue: await subject.enqueue(own) })), name };
}

/** What a programme that enqueues prints last: {"perSecond": …}. */
export async function rateOf(command: Command): Promise<number> {
  return (await lastLineOf<{ perSecond: number }>(command)).perSecond;
}

export function ownQueue(): string {
  return `bench-${randomUUID()}`;
}

function onOwnQueue(subject: Subject, load: Omit<Load, 'queue'>, work: (load: Load) => Promise<Readings>): Turn {
  return {
    name: subject.name,
    async take() {
      const own = { ...load, queue: ownQueue() };
      try {
        return await work(own);
      } finally {
        await subject.clear(own);
      }
    },
  };
}
