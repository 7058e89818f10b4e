import path from 'node:path';
import { Lovage } from 'lovage';
import { Client } from 'pg';
import { eventually } from '../support/eventually.js';
import { type IsolatedBroker, isolatedBroker } from '../support/isolated-broker.js';
import { type IsolatedResults, isolatedResults } from '../support/isolated-results.js';
import { type WorkerProcess, runLovage, startWorker } from '../support/lovage-process.js';

const APP = path.join(__dirname, 'poison', 'app.ts');
const INNOCENTS = 30;
const CONCURRENCY = 6;
const MAX_STARTS = 3;
/** Far more than there should be: two poisonous tasks, four starts each. */
const MAX_LIVES = 20;

jest.setTimeout(120_000);

describe.each(['RabbitMQ', 'PostgreSQL'] as const)('two tasks that kill their worker each time, on %s', (kind) => {
  let broker: IsolatedBroker | undefined;
  let results: IsolatedResults;
  let db: Client;
  let app: Lovage;
  let worker: WorkerProcess | undefined;
  let deaths = 0;
  const poisons: string[] = [];

  beforeAll(async () => {
    [results, broker] = await Promise.all([isolatedResults(), kind === 'RabbitMQ' ? isolatedBroker() : undefined]);
    const env = {
      LOVAGE_BROKER: broker?.url ?? results.url,
      LOVAGE_RESULTS: results.url,
      LOVAGE_WORKER_CONCURRENCY: String(CONCURRENCY),
      LOVAGE_WORKER_PREFETCH: '20',
      LOVAGE_WORKER_MAX_STARTS: String(MAX_STARTS),
    };
    expect(await runLovage(['migrate', '-A', APP], { env })).toMatchObject({ code: 0 });
    db = new Client({ connectionString: results.url });
    await db.connect();
    await db.query('CREATE TABLE ledger (name text NOT NULL, pid integer NOT NULL, at serial)');
    app = new Lovage({ name: 'poison', broker: env.LOVAGE_BROKER, results: results.url });
    await send();
    while ((await unended()) > 0 && deaths < MAX_LIVES) await live(env);
  });

  afterAll(async () => {
    await worker?.kill();
    await app?.stop();
    await db?.end();
    await broker?.drop();
    await results?.drop();
  });

  /** One poisonous task among the first that run, the other among those that wait in the worker. */
  async function send(): Promise<void> {
    const [poison, innocent] = [
      app.task<[how: string], never>('poison.kill'),
      app.task<[n: number], number>('poison.innocent'),
    ];
    const tasks = Array.from({ length: INNOCENTS }, (_, n): [number] => [n]);
    poisons.push((await poison.delay('exit')).id);
    await innocent.delayMany(tasks.slice(0, CONCURRENCY));
    poisons.push((await poison.delay('kill')).id);
    await innocent.delayMany(tasks.slice(CONCURRENCY));
  }

  /** One worker, until it dies or nothing is left to do. */
  async function live(env: NodeJS.ProcessEnv): Promise<void> {
    const living = (worker = await startWorker(['-A', APP], { env }));
    let isDead = false;
    void living.ended.then(() => (isDead = true));
    await eventually(async () => expect(isDead || (await unended()) === 0).toBe(true), { timeoutMs: 30_000 });
    if (!isDead) expect(await living.stop()).toBe(0);
    else deaths += 1;
    // Nobody else holds anything: its leases would end within 30 s.
    if (broker === undefined) await db.query('UPDATE lovage.outbox SET due_at = now() WHERE due_at > now()');
  }

  async function unended(): Promise<number> {
    const { rows } = await db.query<{ count: number }>(
      `SELECT ${INNOCENTS + 2} - count(*)::int AS count FROM lovage.task_results WHERE state IN ('SUCCESS', 'FAILURE')`,
    );
    return rows[0]?.count ?? 0;
  }

  /** How often each has run. */
  async function executions(): Promise<ReadonlyMap<string, number>> {
    const { rows } = await db.query<{ name: string; count: number }>(
      'SELECT name, count(*)::int AS count FROM ledger GROUP BY name',
    );
    return new Map(rows.map(({ name, count }) => [name, count]));
  }

  it('end FAILURE once they have had their starts', async () => {
    const records = await app.results.find({ ids: poisons });
    expect(records).toHaveLength(2);
    for (const record of records) {
      expect(record).toMatchObject({ state: 'FAILURE', attempt: 0, error: { code: 'LOVAGE_POISON' } });
    }
    const runs = await executions();
    // The first delivery is not counted, and may have been no start: what a worker had prefetched.
    for (const how of ['exit', 'kill']) expect([MAX_STARTS, MAX_STARTS + 1]).toContain(runs.get(how));
    expect(deaths).toBe((runs.get('exit') ?? 0) + (runs.get('kill') ?? 0));
  });

  it('take nobody along: all others end SUCCESS', async () => {
    const { rows } = await db.query(
      `SELECT state, count(*)::int AS count FROM lovage.task_results WHERE task = 'poison.innocent' GROUP BY state`,
    );
    expect(rows).toEqual([{ state: 'SUCCESS', count: INNOCENTS }]);
  });

  it('kill those beside them no more often than it takes to know them', async () => {
    const runs = await executions();
    const innocent = [...runs].flatMap(([name, count]) => (/^\d/.test(name) ? [count] : []));
    expect(innocent).toHaveLength(INNOCENTS);
    expect(Math.max(...innocent)).toBeGreaterThan(1);
    // The first start, and two that are counted; then it has run alone.
    expect(Math.max(...innocent)).toBeLessThanOrEqual(4);
  });

  it('leave nothing behind', async () => {
    expect((await db.query('SELECT * FROM lovage.starts')).rows).toEqual([]);
    const { capabilities } = await app.connectBroker();
    const depths = await capabilities.inspect?.depths(['lovage', 'lovage.lost', 'lovage.dead']);
    expect(depths?.map((depth) => depth?.messages)).toEqual([0, 0, 0]);
  });
});
