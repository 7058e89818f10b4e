import { setTimeout as pause } from 'node:timers/promises';
import { type Lovage, Task, TaskContext } from 'lovage';
import type { Pool } from 'pg';
import type { Fuse } from './fuse.js';
import { persist } from './persist.js';
import { IGNORED } from './witness.js';

/** What the tasks of this process run on; set before it consumes. */
export interface Stage {
  readonly app: Lovage;
  /** null: executions are not counted, so that tasks need no database. */
  readonly ledger: Pool | null;
  readonly fuse: Fuse;
}

let stage: Stage;

export function setStage(set: Stage): void {
  stage = set;
}

/** Writes the execution into the ledger: what really happened, beside what is recorded. */
async function enter(): Promise<TaskContext> {
  const context = TaskContext.current();
  const { id, attempt } = context;
  await stage.fuse.around('run', async () => {
    await stage.ledger?.query('INSERT INTO ledger (task_id, attempt, pid) VALUES ($1, $2, $3)', [
      id,
      attempt,
      process.pid,
    ]);
  });
  return context;
}

@Task({ name: 'fault.plain' })
export class Plain {
  async run(n: number): Promise<number> {
    await enter();
    return n;
  }
}

/** Fails as often as it is told, and is retried at once. */
@Task({ name: 'fault.again', retry: { max: 3, backoff: 0 } })
export class Again {
  async run(failures: number): Promise<number> {
    return await failFirst(failures);
  }
}

/** The same, retried a little later. */
@Task({ name: 'fault.later', retry: { max: 3, backoff: 60, factor: 1.5 } })
export class Later {
  async run(failures: number): Promise<number> {
    return await failFirst(failures);
  }
}

@Task({ name: IGNORED, ignoreResult: true, retry: { max: 3, backoff: 0 } })
export class Ignored {
  async run(failures: number): Promise<number> {
    return await failFirst(failures);
  }
}

@Task({ name: 'fault.asks' })
export class Asks {
  async run(times: number): Promise<number> {
    const context = await enter();
    if (context.retries < times) context.retry({ countdown: 40, cause: new Error('asked to be retried') });
    return times;
  }
}

/** Fails for good, at once. */
@Task({ name: 'fault.fails' })
export class Fails {
  async run(): Promise<never> {
    await enter();
    throw new Error('fails');
  }
}

/** Fails until it is run again by hand. */
@Task({ name: 'fault.requeued' })
export class Requeued {
  async run(n: number): Promise<number> {
    const { attempt } = await enter();
    if (attempt === 0) throw new Error('fails until it is requeued');
    return n;
  }
}

/** Sends another task through the outbox, under an id of its own making, so that it may be sent again. */
@Task({ name: 'fault.parent' })
export class Parent {
  async run(n: number): Promise<string> {
    const { id } = await enter();
    const call = stage.app.task(Plain).with({ id: childOf(id), track: true });
    const child = await persist(() => call.delay(n));
    return child.id;
  }
}

export function childOf(id: string): string {
  return `${id}.child`;
}

@Task({ name: 'fault.slow' })
export class Slow {
  async run(ms: number): Promise<number> {
    await enter();
    await pause(ms);
    return ms;
  }
}

/** Needs no database of its own; takes a little while. */
@Task({ name: 'fault.idle' })
export class Idle {
  run(n: number): number {
    return n;
  }
}

export const TASKS = [Plain, Again, Later, Ignored, Asks, Fails, Requeued, Parent, Slow, Idle] as const;

async function failFirst(failures: number): Promise<number> {
  const { retries } = await enter();
  if (retries < failures) throw new Error(`failure ${retries + 1} of ${failures}`);
  return failures;
}
