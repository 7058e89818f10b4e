/** A process that makes calls inside its own transactions, and dies in the middle of one. It knows of no broker. Waits for a CallerAssignment on standard input. */
import { setTimeout as pause } from 'node:timers/promises';
import { Lovage } from 'lovage';
import { Client } from 'pg';
import type { CallerAssignment } from './assignment.js';
import { listen, say } from './lines.js';
import { Random } from './random.js';
import { Plain } from './tasks.js';

/** So many transactions are open at once: whoever dies in one leaves the others anywhere. */
const LANES = 4;
/** What a transaction may die after; `commit` is under way then. */
const STEPS = ['begin', 'row', 'call', 'commit', 'committed'] as const;

listen((document) => {
  void work(document as CallerAssignment).then(
    () => process.exit(0),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
});

async function work({ results, schema, queue, seed, from, count }: CallerAssignment): Promise<void> {
  const random = new Random(seed);
  const app = new Lovage({ name: 'caller', results: { url: results, schema }, defaultQueue: queue });
  const call = app.task(Plain);
  // Half of the processes die at a step of their own choice, half at any moment.
  const death = random.chance(0.5) ? { n: from + random.below(count), step: random.pick(STEPS) } : null;
  if (death === null) setTimeout(die, 100 + random.below(900));
  let next = from;
  await Promise.all(
    Array.from({ length: LANES }, async () => {
      const client = new Client({ connectionString: results, options: `-c search_path=${schema}` });
      await client.connect();
      while (next < from + count) await transaction(client, next++).catch((error: unknown) => givenUp(client, error));
      await client.end();
    }),
  );

  async function transaction(client: Client, n: number): Promise<void> {
    const isolation = random.pick(['READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE']);
    const fate = random.pick(['commit', 'commit', 'commit', 'rollback', 'failure', 'savepoint']);
    const callsFirst = random.chance(0.5);
    const tx = random.chance(0.3) ? { tx: client, countdown: random.below(200) } : { tx: client };
    say({ kind: 'begun', n });
    await client.query(`BEGIN ISOLATION LEVEL ${isolation}`);
    await reached(n, 'begin');
    if (fate === 'savepoint') await client.query('SAVEPOINT here');
    if (callsFirst) await call.with(tx).delay(n);
    await client.query('INSERT INTO business (n) VALUES ($1)', [n]);
    await reached(n, 'row');
    if (!callsFirst) await call.with(tx).delay(n);
    await reached(n, 'call');
    // The work is taken back, and the transaction goes on.
    if (fate === 'savepoint') await client.query('ROLLBACK TO here');
    // A statement that fails leaves nothing but a rollback.
    if (fate === 'failure') await client.query('INSERT INTO business (n) VALUES ($1)', [n]).catch(() => undefined);
    const end = client.query(fate === 'rollback' ? 'ROLLBACK' : 'COMMIT');
    await reached(n, 'commit');
    await end;
    await reached(n, 'committed');
  }

  // What PostgreSQL says of a conflict is for the caller to act on: this one gives up.
  async function givenUp(client: Client, error: unknown): Promise<void> {
    if ((error as { readonly code?: unknown }).code !== '40001') throw error;
    await client.query('ROLLBACK');
  }

  async function reached(n: number, step: (typeof STEPS)[number]): Promise<void> {
    if (death?.n === n && death.step === step) die();
    // Not in step with the other transactions.
    if (random.chance(0.5)) await pause(random.below(8));
  }
}

function die(): void {
  process.kill(process.pid, 'SIGKILL');
}
