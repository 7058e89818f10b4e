import { setTimeout as sleep } from 'node:timers/promises';
import { Lovage, Task } from 'lovage';
import { Pool } from 'pg';

// By a way of its own, as it must not fail when the worker's is cut.
const ledger = new Pool({ connectionString: process.env['LEDGER'], max: 5 });

/** Writes a line into a ledger each time it begins, and takes its time. */
@Task({ name: 'long.record' })
class Record {
  async run(n: number, ms: number): Promise<number> {
    await ledger.query('INSERT INTO ledger (n, pid) VALUES ($1, $2)', [n, process.pid]);
    await sleep(ms);
    return n;
  }
}

export const app = new Lovage({ name: 'parked' });

app.configFromObject(process.env, { namespace: 'LOVAGE' });
app.register(Record);
