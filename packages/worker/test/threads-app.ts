import { threadId } from 'node:worker_threads';
import { Lovage, Task, TaskContext } from '@lovage/core';

const inThreads = { pool: 'threads' } as const;

/** Says where it runs, and who made it. */
@Task({ name: 'where', ...inThreads })
export class Where {
  madeIn = 0;

  run(greeting: string): unknown {
    const { id, attempt, headers } = TaskContext.current();
    return { greeting, id, attempt, headers, threadId, madeIn: this.madeIn };
  }
}

/** Keeps its thread busy until it is told to end, and never awaits. */
@Task({ name: 'spins', ...inThreads })
export class Spins {
  run(then: 'return' | 'throw'): string {
    const { signal, progress } = TaskContext.current();
    progress('spinning');
    while (!signal.aborted);
    if (then === 'throw') signal.throwIfAborted();
    return (signal.reason as Error).name;
  }
}

/** Heeds nothing. */
@Task({ name: 'hangs', ...inThreads })
export class Hangs {
  run(): void {
    for (;;);
  }
}

@Task({ name: 'waits', ...inThreads })
export class Waits {
  run(): Promise<never> {
    const { signal, progress } = TaskContext.current();
    progress('waiting');
    return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
  }
}

@Task({ name: 'exits', ...inThreads, retry: { max: 1, backoff: 0 } })
export class Exits {
  run(): void {
    process.exit(3);
  }
}

@Task({ name: 'says', ...inThreads })
export class Says {
  run(): void {
    const { log, progress } = TaskContext.current();
    log.info('plain', { n: 1 });
    log.warn('odd', { f: () => 1 });
    progress({ done: 0.5 });
    void Promise.reject(new Error('nobody awaits this'));
  }
}

@Task({ name: 'retries', ...inThreads })
export class Retries {
  run(): number {
    const context = TaskContext.current();
    return context.retries === 0 ? context.retry({ countdown: 0 }) : context.retries;
  }
}

@Task({ name: 'elsewhere' })
export class Elsewhere {
  run(): number {
    return threadId;
  }
}

export const TASKS = [Where, Spins, Hangs, Waits, Exits, Says, Retries, Elsewhere] as const;

const resolver = (taskClass: (typeof TASKS)[number]): unknown => {
  const made = new taskClass();
  return made instanceof Where ? Object.assign(made, { madeIn: threadId }) : made;
};

export const app = new Lovage({ resolver: resolver as never, broker: 'memory://threads' }).register(...TASKS);

export const empty = new Lovage({ broker: 'memory://threads' });
