import { Client } from 'pg';
import { Transports, declared, inspectorOf, message, publish } from '../../test/queue-support.js';
import { TestSchema, serverUrl } from '../../test/support.js';
import { queueStatements } from './statements.js';

const schema = new TestSchema();
const transports = new Transports(schema);

beforeAll(() => schema.migrate());
afterEach(() => transports.stop());
afterAll(() => schema.dispose());

describe('a claim', () => {
  it('takes under 5 ms beside 200,000 rows of the future and 10,000 that others hold', async () => {
    const transport = await transports.started();
    const queue = await declared(transport, { type: 'classic', maxPriority: 9 });
    const many = (count: number, due: string, columns: string): string =>
      `INSERT INTO outbox (id, task_id, task, queue, due_at, headers, properties, body, created_at, priority, deliveries)
       SELECT gen_random_uuid(), 'task-' || n, 'test.task', '${queue}', now() + ${due} + n * interval '1 millisecond', '{}', '{}', '[]', now(), ${columns}
       FROM generate_series(1, ${count}) AS n`;
    // Half as long as with the indexes in place.
    const indexes = await schema.sql<{ name: string; definition: string }>(
      `SELECT indexname AS name, indexdef AS definition FROM pg_indexes
       WHERE schemaname = current_schema() AND tablename = 'outbox' AND indexname <> 'outbox_pkey'`,
    );
    expect(indexes.map(({ name }) => name)).toContain('outbox_queue');
    for (const { name } of indexes) await schema.sql(`DROP INDEX ${name}`);
    await schema.sql(many(200_000, "interval '1 hour'", 'n % 10, 0'));
    await schema.sql(many(10_000, "interval '30 seconds'", '256, 1'));
    for (const { definition } of indexes) await schema.sql(definition);
    await schema.sql('ANALYZE outbox');
    await publish(transport, ...Array.from({ length: 600 }, (_, n) => message(queue, `${n}`, { priority: n % 3 })));

    const client = new Client({ connectionString: serverUrl() });
    await client.connect();
    // As it is run: prepared, with the plan that is for any limit.
    await client.query(
      `SET plan_cache_mode = force_generic_plan; PREPARE claim AS ${queueStatements(schema.name).claim.text}`,
    );
    const explain = async (name: string, limit: number): Promise<{ readonly plan: string; readonly ms: number }> => {
      const text = `EXPLAIN (ANALYZE) EXECUTE claim('${name}', ${limit}, true)`;
      const { rows } = await client.query<{ 'QUERY PLAN': string }>(text);
      const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
      return { plan, ms: Number(/Execution Time: ([\d.]+) ms/.exec(plan)?.[1]) };
    };
    const full = [await explain(queue, 100), await explain(queue, 100), await explain(queue, 100)];
    await schema.sql('UPDATE outbox SET due_at = now() + $1 WHERE due_at <= now()', ['1 hour']);
    const idle = [await explain(queue, 100), await explain(queue, 100), await explain('another', 100)];
    await client.end();

    for (const { plan } of [...full, ...idle]) {
      expect(plan).toMatch(/Index (?:Only )?Scan using outbox_queue/);
      expect(plan).not.toMatch(/Seq Scan on outbox/);
    }
    // The least, as the machine may be busy.
    expect(Math.min(...idle.map(({ ms }) => ms))).toBeLessThan(5);
    expect(Math.min(...full.map(({ ms }) => ms))).toBeLessThan(25);
    expect(await schema.sql('SELECT count(*)::int AS count FROM outbox WHERE deliveries > 0')).toEqual([
      { count: 10_300 },
    ]);
    await schema.sql('TRUNCATE outbox');
  }, 120_000);

  it('locks no more than it takes', async () => {
    const transport = await transports.started();
    const queue = await declared(transport);
    await publish(transport, ...Array.from({ length: 100 }, (_, n) => message(queue, `${n}`)));
    const [one, two] = [new Client({ connectionString: serverUrl() }), new Client({ connectionString: serverUrl() })];
    await Promise.all([one.connect(), two.connect()]);
    const { claim } = queueStatements(schema.name);
    await one.query('BEGIN');
    const first = await one.query<{ id: string }>(claim.text, [queue, 60, true]);
    const second = await two.query<{ id: string }>(claim.text, [queue, 60, true]);
    await one.query('COMMIT');
    await Promise.all([one.end(), two.end()]);
    expect([first.rowCount, second.rowCount]).toEqual([60, 40]);
    expect(new Set([...first.rows, ...second.rows].map(({ id }) => id)).size).toBe(100);
  });
});

describe('a purge', () => {
  it('of more than one statement takes removes all that is ready and nothing else', async () => {
    const transport = await transports.started();
    const queue = await declared(transport);
    await schema.sql(
      `INSERT INTO outbox (id, task_id, task, queue, due_at, headers, properties, body, created_at)
       SELECT gen_random_uuid(), 't', 't', $1, now() + CASE WHEN n > 25000 THEN interval '1 hour' ELSE '0' END, '{}', '{}', '[]', now()
       FROM generate_series(1, 25010) AS n`,
      [queue],
    );
    expect(await inspectorOf(transport).purge(queue)).toBe(25_000);
    expect(await inspectorOf(transport).purge(queue)).toBe(0);
    const left = await schema.sql('SELECT count(*)::int AS count FROM outbox WHERE queue = $1', [queue]);
    expect(left).toEqual([{ count: 10 }]);
  });
});
