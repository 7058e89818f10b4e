import { Task } from 'lovage';
import { Pool } from 'pg';

// It must outlive this process, not the database: no need to wait for the disk.
const ledger = new Pool({
  connectionString: process.env['LOVAGE_RESULTS'],
  max: 5,
  options: '-c synchronous_commit=off',
});

/** Writes a line into a ledger each time it runs: what really happened, beside what is recorded. */
@Task({ name: 'crash.record' })
export class Record {
  async run(n: number): Promise<number> {
    await ledger.query('INSERT INTO ledger (n, pid) VALUES ($1, $2)', [n, process.pid]);
    return n;
  }
}
