import { setTimeout as pause } from 'node:timers/promises';
import { Task } from 'lovage';
import { Pool } from 'pg';

const ledger = new Pool({ connectionString: process.env['LOVAGE_RESULTS'], max: 5 });

async function note(name: string): Promise<void> {
  await ledger.query('INSERT INTO ledger (name, pid) VALUES ($1, $2)', [name, process.pid]);
}

/** Ends its process each time: as code may that does not know where it runs, or as the kernel does where there is no memory left. */
@Task({ name: 'poison.kill' })
export class Poison {
  async run(how: 'exit' | 'kill'): Promise<never> {
    await note(how);
    // So that others run beside it.
    await pause(200);
    if (how === 'exit') process.exit(1);
    process.kill(process.pid, 'SIGKILL');
    return await new Promise<never>(() => undefined);
  }
}

/** Takes longer than a poisonous task beside it has to live. */
@Task({ name: 'poison.innocent' })
export class Innocent {
  async run(n: number): Promise<number> {
    await note(String(n));
    await pause(350);
    return n;
  }
}
