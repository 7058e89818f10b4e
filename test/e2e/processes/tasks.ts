import { Task, TaskContext } from 'lovage';
import { Pool } from 'pg';

const ledger = new Pool({ connectionString: process.env['LOVAGE_RESULTS'], max: 5 });

/** Every execution, and the process it was in. */
async function write(task: string, n: number): Promise<void> {
  await ledger.query('INSERT INTO ledger (task, n, pid) VALUES ($1, $2, $3)', [task, n, process.pid]);
}

async function isReleased(n: number): Promise<boolean> {
  return ((await ledger.query('SELECT FROM releases WHERE n = $1', [n])).rowCount ?? 0) > 0;
}

@Task({ name: 'processes.record' })
export class Record {
  async run(n: number): Promise<number> {
    await write('record', n);
    return process.pid;
  }
}

/** Runs until the test says that it may end, or the worker that it must. */
@Task({ name: 'processes.hold' })
export class Hold {
  async run(n: number): Promise<number> {
    const { signal } = TaskContext.current();
    await write('hold', n);
    for (;;) {
      signal.throwIfAborted();
      if (await isReleased(n)) return process.pid;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** Blocks the event loop, unless it is released: a task that computes and never awaits. */
@Task({ name: 'processes.spin' })
export class Spin {
  async run(n: number, ms: number): Promise<number> {
    if (await isReleased(n)) return 0;
    await write('spin', n);
    return compute(ms);
  }
}

function compute(ms: number): number {
  const end = performance.now() + ms;
  let turns = 0;
  while (performance.now() < end) turns += 1;
  return turns;
}

/** Ends its process each time, until it is released. */
@Task({ name: 'processes.exit' })
export class Exit {
  async run(n: number, code: number): Promise<number> {
    return (await isReleased(n)) ? process.pid : process.exit(code);
  }
}

/** As Spin, for no longer than it may. */
@Task({ name: 'processes.spinWithin', timeLimit: '1s' })
export class SpinWithin extends Spin {
  override async run(n: number, ms: number): Promise<number> {
    return super.run(n, ms);
  }
}

/** As SpinWithin, but once its limit is over and it has ended. */
@Task({ name: 'processes.spinAfter', timeLimit: '1s' })
export class SpinAfter extends Spin {
  override async run(n: number, ms: number): Promise<number> {
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    return super.run(n, ms);
  }
}

/** Leaves a timer behind that blocks the event loop once the task has ended. */
@Task({ name: 'processes.haunt' })
export class Haunt {
  run(ms: number): void {
    setTimeout(() => compute(ms), 100);
  }
}
