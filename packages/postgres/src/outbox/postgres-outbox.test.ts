import { type Outbox, type ResultBackend, type UniqueClaim, systemRuntime } from '@lovage/core';
import { Client } from 'pg';
import { outboxCall, outboxMessage, outboxOf, uniqueClaim } from '../../test/outbox-support.js';
import { TestSchema, completion, recordWrite, serverUrl } from '../../test/support.js';
import { outboxChannelOf } from './outbox-channel.js';
import { outboxStatements } from './statements.js';

describe('the outbox in PostgreSQL', () => {
  const schema = new TestSchema();
  let backend: ResultBackend;
  let outbox: Outbox;

  beforeAll(async () => {
    await schema.migrate();
    backend = await schema.started();
    outbox = outboxOf(backend);
  });
  beforeEach(() => schema.sql('TRUNCATE outbox, unique_keys, task_results'));
  afterAll(() => schema.dispose());

  it('writes 1,000 follow-ups where two copies of 1,000 tasks are committed at once, whatever their order', async () => {
    const other = await schema.started();
    const ids = Array.from({ length: 1_000 }, () => systemRuntime.uuid());
    const copy = (): ReturnType<typeof completion>[] =>
      ids.map((id) =>
        completion(recordWrite({ id, state: 'RETRY', attempt: 1, retries: 1, due: { inMs: 1_000 } }), {
          followUps: [outboxMessage({ taskId: id, due: { inMs: 1_000 } })],
        }),
      );
    const results = await Promise.all([backend.commit(copy()), other.commit(copy().reverse())]);
    expect(results.flat().filter((result) => result === 'applied')).toHaveLength(1_000);
    expect(results.flat().filter((result) => result === 'superseded')).toHaveLength(1_000);
    expect(await schema.sql('SELECT count(*)::int AS rows, count(DISTINCT task_id)::int AS tasks FROM outbox')).toEqual(
      [{ rows: 1_000, tasks: 1_000 }],
    );
  });

  it('finds what is due among 1,000,000 rows of the future in under 5 ms', async () => {
    // Half as long as with the indexes in place.
    const indexes = await schema.sql<{ name: string; definition: string }>(
      `SELECT indexname AS name, indexdef AS definition FROM pg_indexes
       WHERE schemaname = current_schema() AND tablename = 'outbox' AND indexname <> 'outbox_pkey'`,
    );
    for (const { name } of indexes) await schema.sql(`DROP INDEX ${name}`);
    await schema.sql(
      `INSERT INTO outbox SELECT gen_random_uuid(), 'task-' || n, 'test.task', 'test', at, at, '{}', '{}', '[]', now()
       FROM generate_series(1, 1000000) AS n, LATERAL (SELECT now() + interval '1 hour' + n * interval '1 second' AS at) AS due`,
    );
    for (const { definition } of indexes) await schema.sql(definition);
    await schema.sql('ANALYZE outbox');
    const due = Array.from({ length: 200 }, () => outboxCall());
    await outbox.enqueue(due);
    const client = new Client({ connectionString: serverUrl() });
    await client.connect();
    // As it is run: prepared, with the plan that is for any limit.
    const { claim } = outboxStatements(schema.name);
    await client.query(`SET plan_cache_mode = force_generic_plan; PREPARE claim AS ${claim.text}`);
    const explained: { plan: string; ms: number }[] = [];
    for (const limit of [0, 0, 100, 100, 500]) {
      const { rows } = await client.query<{ 'QUERY PLAN': string }>(`EXPLAIN (ANALYZE) EXECUTE claim(${limit})`);
      const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
      explained.push({ plan, ms: Number(/Execution Time: ([\d.]+) ms/.exec(plan)?.[1]) });
    }
    await client.end();
    for (const { plan } of explained) {
      expect(plan).toContain('Index Scan using outbox_queue');
      expect(plan).not.toContain('Seq Scan on outbox');
    }
    // What nothing is due for, which is what an idle worker asks each second; the least, as the machine may be busy.
    expect(Math.min(...explained.slice(0, 2).map(({ ms }) => ms))).toBeLessThan(5);
    expect(await schema.sql("SELECT FROM outbox WHERE due_at = eta AND due_at < now() + interval '1 minute'")).toEqual(
      [],
    );
    const listed = await outbox.scheduled({ limit: 3 });
    expect(listed.map(({ id }) => id)).toEqual(['task-1', 'task-2', 'task-3']);
  }, 120_000);

  it('leases at most 8 MB in a claim, and a larger row alone', async () => {
    const body = Buffer.from(JSON.stringify('x'.repeat(3 * 2 ** 20)));
    const large = Buffer.from(JSON.stringify('x'.repeat(9 * 2 ** 20)));
    for (const [index, size] of [body, body, body, large, body].entries()) {
      const { message } = outboxMessage();
      const due = { at: new Date(index) };
      await outbox.enqueue([outboxCall({ message: { ...message, body: size }, due })]);
    }
    const sizes: number[] = [];
    for (let claimed = await outbox.claim(10); claimed.messages.length > 0; claimed = await outbox.claim(10))
      sizes.push(claimed.messages.length);
    expect(sizes).toEqual([2, 1, 1, 1]);
  });

  it('gives back a message as it was written', async () => {
    const headers = {
      text: 'é 𝄞 {},"\\\'\n\t\u0001 \\u0000 NULL',
      numbers: [0, -1, 2 ** 53 - 1, 1.5],
      nested: { deep: [true, null, { '': '' }] },
    };
    const { message } = outboxMessage();
    const body = Buffer.from(' [["é 𝄞", "\\u0000\\ud800"],  {"b":1,"a":2,"a":3}, {}]\n');
    const sent = { ...message, headers, body, replyTo: 'x', priority: 7, contentEncoding: '', correlationId: null };
    const call = outboxCall({ message: sent });
    await outbox.enqueue([call]);
    const [claimed] = (await outbox.claim(1)).messages;
    expect(claimed).toEqual({ rowId: call.rowId, taskId: call.taskId, task: call.task, message: sent, due: null });
  });

  it('sweeps keys that have run out, and records that nothing can end any more', async () => {
    const short = await schema.started({ expiresMs: 1 });
    const claims = [uniqueClaim({ ttlMs: 1 }), uniqueClaim()];
    const waits = outboxCall({ due: { inMs: 60_000 } });
    const [first, second] = claims as [UniqueClaim, UniqueClaim];
    const sent = outboxCall({ unique: first });
    const taken = outboxCall({ unique: second, due: { inMs: 60_000 } });
    await outbox.enqueue([waits, sent, taken]);
    await outbox.remove([sent.rowId]);
    const running = recordWrite({ state: 'STARTED' });
    const dueLater = recordWrite({ state: 'RETRY', due: { inMs: 60_000 } });
    await backend.commit([running, dueLater].map((record) => completion(record)));
    await schema.sql('SELECT pg_sleep(0.01)');
    expect(await short.expire(100)).toBe(1);
    const left = await schema.sql<{ id: string }>('SELECT id FROM task_results');
    expect(new Set(left.map(({ id }) => id))).toEqual(new Set([waits.taskId, taken.taskId, running.id, dueLater.id]));
    expect(await schema.sql('SELECT key FROM unique_keys')).toEqual([{ key: claims[1]?.key }]);
  });

  it('keeps the claims of a database whose default is REPEATABLE READ apart', async () => {
    const strict = new URL(serverUrl());
    strict.searchParams.set('options', '-c default_transaction_isolation=repeatable\\ read');
    const claimers = await Promise.all(Array.from({ length: 4 }, () => schema.started({ url: strict.toString() })));
    const calls = Array.from({ length: 400 }, () => outboxCall());
    await outbox.enqueue(calls);
    const claims = await Promise.all(
      claimers.flatMap((one) => Array.from({ length: 5 }, () => outboxOf(one).claim(40))),
    );
    const ids = claims.flatMap(({ messages }) => messages.map(({ rowId }) => rowId));
    expect(new Set(ids).size).toBe(ids.length);
  });
});

describe('outboxChannelOf', () => {
  it('is a name that PostgreSQL does not cut, and tells schemas apart', () => {
    const names = ['lovage', 'odd "name"', 'x'.repeat(63), `${'x'.repeat(62)}y`, 'é'.repeat(31)];
    const channels = names.map(outboxChannelOf);
    expect(channels[0]).toBe('lovage_outbox.lovage');
    expect(new Set(channels).size).toBe(names.length);
    for (const channel of channels) expect(Buffer.byteLength(channel)).toBeLessThanOrEqual(63);
  });
});
