import { readdirSync } from 'node:fs';
import path from 'node:path';
import { Lovage } from 'lovage';
import { Client } from 'pg';
import { eventually } from '../support/eventually.js';
import { type IsolatedResults, isolatedResults } from '../support/isolated-results.js';
import { type WorkerProcess, runLovage, startWorker } from '../support/lovage-process.js';
import { LovageProcess } from './cli/spawn-lovage.js';

const CRASH_APP = path.join(__dirname, 'crash', 'app.ts');
const CLI_APP = path.join(__dirname, 'cli-outbox', 'app.ts');
const UNSTORED_APP = path.join(__dirname, 'queue-table', 'app.ts');
const TASKS = 1_000;
const CONCURRENCY = 10;
const PREFETCH = 50;

jest.setTimeout(60_000);

async function connected(url: string): Promise<Client> {
  const client = new Client({ connectionString: url });
  await client.connect();
  return client;
}

describe(`a worker killed twice in the middle of ${TASKS} tasks, its queue in the database of its results`, () => {
  let results: IsolatedResults;
  let db: Client;
  let app: Lovage;
  let worker: WorkerProcess | undefined;
  const killed: { readonly pid: number; readonly recorded: ReadonlySet<number> }[] = [];
  /** What each task was run by, in order. */
  const runs = new Map<number, number[]>();

  beforeAll(async () => {
    results = await isolatedResults();
    const env = {
      LOVAGE_BROKER: results.url,
      LOVAGE_RESULTS: results.url,
      LOVAGE_WORKER_CONCURRENCY: String(CONCURRENCY),
      LOVAGE_WORKER_PREFETCH: String(PREFETCH),
    };
    expect(await runLovage(['migrate', '-A', CRASH_APP], { env })).toMatchObject({ code: 0 });
    db = await connected(results.url);
    await db.query('CREATE TABLE ledger (n integer NOT NULL, pid integer NOT NULL, at serial)');
    app = new Lovage({ name: 'crash', broker: results.url, results: results.url });
    await app.task<[n: number], number>('crash.record').delayMany(Array.from({ length: TASKS }, (_, n) => [n]));
    for (const executions of [150, 600]) {
      worker = await startWorker(['-A', CRASH_APP], { env });
      await eventually(async () => expect(await count('ledger')).toBeGreaterThanOrEqual(executions), {
        timeoutMs: 20_000,
      });
      await worker.kill();
      await gone();
      killed.push({ pid: worker.pid, recorded: await recorded() });
      // Nobody else holds anything: its leases would end within 30 s.
      await db.query('UPDATE lovage.outbox SET due_at = now() WHERE due_at > now()');
    }
    worker = await startWorker(['-A', CRASH_APP], { env });
    await eventually(async () => expect((await recorded()).size).toBe(TASKS), { timeoutMs: 20_000 });
    expect(await worker.stop()).toBe(0);
    const { rows } = await db.query<{ n: number; pid: number }>('SELECT n, pid FROM ledger ORDER BY at');
    for (const { n, pid } of rows) runs.set(n, [...(runs.get(n) ?? []), pid]);
  });
  afterAll(async () => {
    await worker?.kill();
    await app?.stop();
    await db?.end();
    await results?.drop();
  });

  async function count(table: string): Promise<number> {
    const { rows } = await db.query<{ count: number }>(`SELECT count(*)::int AS count FROM ${table}`);
    return rows[0]?.count ?? 0;
  }

  async function recorded(): Promise<ReadonlySet<number>> {
    const { rows } = await db.query<{ n: number }>(
      "SELECT (args->>0)::int AS n FROM lovage.task_results WHERE state = 'SUCCESS'",
    );
    return new Set(rows.map(({ n }) => n));
  }

  /** What a killed process had asked the server is over. */
  async function gone(): Promise<void> {
    await eventually(async () => {
      const { rows } = await db.query(
        "SELECT FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND pid <> pg_backend_pid()",
      );
      expect(rows).toEqual([]);
    });
  }

  it('was in the middle of them each time', () => {
    const sizes = [0, ...killed.map((each) => each.recorded.size), TASKS];
    for (let index = 1; index < sizes.length; index += 1) expect(sizes[index]).toBeGreaterThan(sizes[index - 1] ?? 0);
  });

  it('ends each once, and leaves nothing behind', async () => {
    const { rows } = await db.query(
      `SELECT state, count(*)::int AS records, count(DISTINCT args->>0)::int AS tasks, bool_and(result = args->0) AS own
       FROM lovage.task_results GROUP BY state`,
    );
    expect(rows).toEqual([{ state: 'SUCCESS', records: TASKS, tasks: TASKS, own: true }]);
    expect(await count('lovage.outbox')).toBe(0);
    expect(await count("lovage.consumers WHERE expires_at > now() + interval '29 seconds'")).toBe(0);
  });

  it('runs again only what a killed worker held and had not recorded', () => {
    expect(runs.size).toBe(TASKS);
    for (const [index, { pid, recorded: known }] of killed.entries()) {
      const again = [...runs].filter(([, pids]) => pids.slice(0, -1).includes(pid));
      expect(again.length).toBeLessThanOrEqual(PREFETCH);
      expect(again.filter(([n]) => known.has(n))).toEqual([]);
      expect(killed.slice(0, index).every((each) => each.pid !== pid)).toBe(true);
    }
    for (const pids of runs.values()) expect(new Set(pids).size).toBe(pids.length);
  });
});

describe('the commands, with a broker in PostgreSQL', () => {
  let one: IsolatedResults;
  let two: IsolatedResults;

  beforeAll(async () => {
    [one, two] = await Promise.all([isolatedResults(), isolatedResults()]);
  });
  afterAll(async () => {
    await one?.drop();
    await two?.drop();
  });

  const run = (argv: readonly string[], env: NodeJS.ProcessEnv, app = CLI_APP) =>
    runLovage([...argv, '-A', app], { env: { LOVAGE_RESULTS: undefined, FORCE_COLOR: undefined, ...env } });

  /** The schemas of a database that hold Lovage's tables. */
  async function schemasOf({ url }: IsolatedResults): Promise<readonly string[]> {
    const client = await connected(url);
    const { rows } = await client.query<{ name: string }>(
      "SELECT table_schema AS name FROM information_schema.tables WHERE table_name = 'outbox' ORDER BY 1",
    );
    await client.end();
    return rows.map(({ name }) => name);
  }

  it('serve one schema', async () => {
    const env = { LOVAGE_BROKER: one.url };
    const missing = await run(['status'], env);
    expect(missing.code).toBe(3);
    expect(missing.stdout).toContain('lovage migrate');
    expect(await run(['call', 'add', '1', '2'], env)).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('LOVAGE_SCHEMA') as string,
    });
    expect(await run(['migrate', '--status'], env)).toMatchObject({ code: 3 });
    const migrated = await run(['migrate'], env);
    expect(migrated).toMatchObject({ code: 0, stderr: '' });
    const migrations = readdirSync(path.join(__dirname, '..', '..', 'packages', 'postgres', 'migrations'));
    expect(migrated.stdout.match(/^applied /gm)).toHaveLength(migrations.length);
    expect(await schemasOf(one)).toEqual(['lovage']);
    for (const id of ['a', 'b'])
      expect(await run(['call', 'add', '1', '2', '--id', id], env)).toMatchObject({ code: 0 });
    expect(await run(['call', 'add', '1', '2', '--countdown', '1h'], env)).toMatchObject({ code: 0 });
    const status = await run(['status'], env);
    expect(status.code).toBe(0);
    expect(status.stdout).toMatch(/^broker +postgres:\/\/\w+:\*\*\*@\S+ +reachable$/m);
    expect(status.stdout).toMatch(/^lovage +2 +0$/m);
    expect(status.stdout).not.toContain(`:${new URL(one.url).password}@`);
    // Nothing is its to send: the two are there afterwards.
    const relay = new LovageProcess(['relay', '-A', CLI_APP], { env: { ...env, LOVAGE_RESULTS: undefined } });
    await relay.says('the outbox is the queue itself');
    await relay.says(' ready');
    relay.signal('SIGTERM');
    expect(await relay.ended()).toMatchObject({ code: 0 });
    expect(await run(['purge', '--force'], env)).toMatchObject({ code: 0, stdout: 'lovage: 2 messages deleted\n' });
    expect(await run(['purge', '-Q', 'nowhere', '--force'], env)).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('no queue nowhere') as string,
    });
    const { stdout } = await run(['scheduled', 'list', '--json'], env);
    expect(JSON.parse(stdout)).toHaveLength(1);
  });

  it('serve two schemas', async () => {
    const env = { LOVAGE_BROKER: two.url, LOVAGE_BROKER_SCHEMA: 'jobs', LOVAGE_RESULTS: two.url };
    const migrated = await run(['migrate'], env);
    expect(migrated).toMatchObject({ code: 0, stderr: '' });
    expect(await schemasOf(two)).toEqual(['jobs', 'lovage']);
    expect(await run(['migrate', '--status'], env)).toMatchObject({ code: 0 });
    expect(await run(['status'], env)).toMatchObject({ code: 0 });
  });

  it('serve two databases, and no results', async () => {
    const databases = { LOVAGE_BROKER: two.url, LOVAGE_BROKER_SCHEMA: 'queues', LOVAGE_RESULTS: one.url };
    expect(await run(['migrate'], databases)).toMatchObject({ code: 0, stderr: '' });
    expect(await schemasOf(one)).toEqual(['lovage']);
    expect(await schemasOf(two)).toContain('queues');
    expect(await run(['status'], databases)).toMatchObject({ code: 0 });
    const alone = { LOVAGE_BROKER: two.url, LOVAGE_BROKER_SCHEMA: 'alone' };
    expect(await run(['migrate'], alone, UNSTORED_APP)).toMatchObject({ code: 0, stderr: '' });
    expect(await schemasOf(two)).toContain('alone');
    expect(await run(['call', 'add', '1', '2'], alone, UNSTORED_APP)).toMatchObject({ code: 0 });
    const status = await run(['status'], alone, UNSTORED_APP);
    expect(status.code).toBe(0);
    expect(status.stdout).toMatch(/^database +none/m);
    expect(status.stdout).toMatch(/^lovage +1 +0$/m);
  });
});
