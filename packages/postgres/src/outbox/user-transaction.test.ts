import { type EnqueueResult, LovageError, type Outbox, type ResultBackend } from '@lovage/core';
import { Client, Pool } from 'pg';
import { outboxCall, outboxOf, uniqueClaim } from '../../test/outbox-support.js';
import { TestSchema, completion, recordWrite, serverUrl, until } from '../../test/support.js';

const UUID_OID = 2950;

describe("enqueue in the user's transaction", () => {
  const schema = new TestSchema();
  let backend: ResultBackend;
  let outbox: Outbox;
  let tx: Client;
  const clients: Client[] = [];

  beforeAll(async () => {
    await schema.migrate();
    backend = await schema.started();
    outbox = outboxOf(backend);
    await schema.sql('CREATE TABLE orders (id int PRIMARY KEY)');
  });
  beforeEach(async () => {
    await schema.sql('TRUNCATE orders');
    tx = await connected();
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) await client.end();
  });
  afterAll(() => schema.dispose());

  async function connected(begin = 'BEGIN'): Promise<Client> {
    const client = new Client({ connectionString: serverUrl(), application_name: 'user' });
    clients.push(client);
    await client.connect();
    await client.query(`SET search_path TO ${schema.name}; ${begin}`);
    return client;
  }

  async function rowsOf(taskId: string): Promise<{ records: number; messages: number }> {
    const [row] = await schema.sql<{ records: number; messages: number }>(
      `SELECT (SELECT count(*)::int FROM task_results WHERE id = $1) AS records,
        (SELECT count(*)::int FROM outbox WHERE task_id = $1) AS messages`,
      [taskId],
    );
    return row ?? { records: -1, messages: -1 };
  }

  /** Resolves once a statement of the user's clients waits for a lock. */
  async function waiting(count = 1): Promise<void> {
    const blocked = `SELECT FROM pg_stat_activity WHERE application_name = 'user' AND wait_event_type = 'Lock'`;
    await until('a blocked statement', async () => (await schema.sql(blocked)).length === count);
  }

  const thrown = (promise: Promise<unknown>): Promise<unknown> => promise.catch((error: unknown) => error);

  it('exists when the transaction commits, and not before', async () => {
    const call = outboxCall();
    await tx.query('INSERT INTO orders VALUES (1)');
    expect(await outbox.enqueue([call], { tx })).toEqual([{ taskId: call.taskId, written: true }]);
    expect(await rowsOf(call.taskId)).toEqual({ records: 0, messages: 0 });
    await tx.query('COMMIT');
    expect(await rowsOf(call.taskId)).toEqual({ records: 1, messages: 1 });
  });

  it('leaves nothing of a transaction that is rolled back', async () => {
    const call = outboxCall({ unique: uniqueClaim() });
    await outbox.enqueue([call], { tx });
    await tx.query('ROLLBACK');
    expect(await rowsOf(call.taskId)).toEqual({ records: 0, messages: 0 });
    expect(await schema.sql('SELECT FROM unique_keys WHERE task_id = $1', [call.taskId])).toEqual([]);
  });

  it('works with a backend that has never been started and reaches no database', async () => {
    const unstarted = outboxOf(schema.backend({ url: 'postgres://nobody@127.0.0.1:1/x' }));
    const call = outboxCall();
    await unstarted.enqueue([call], { tx });
    await tx.query('COMMIT');
    expect(await rowsOf(call.taskId)).toEqual({ records: 1, messages: 1 });
  });

  it('counts from when it is written, not from BEGIN', async () => {
    await schema.sql('SELECT pg_sleep(0.05)');
    const calls = [outboxCall({ due: { inMs: 1_000 } }), outboxCall({ due: null, unique: uniqueClaim() })];
    await outbox.enqueue(calls, { tx });
    const { rows } = await tx.query<{ late: boolean }>(
      `SELECT due_at >= now() + interval '1050 milliseconds' AS late FROM outbox WHERE created_at > now()`,
    );
    expect(rows).toEqual([{ late: true }, { late: true }]);
    await tx.query('ROLLBACK');
  });

  it('wakes those who watch when the transaction commits, if something is due', async () => {
    const watcher = await schema.started();
    let wakes = 0;
    const watch = outboxOf(watcher).watch(() => (wakes += 1));
    // Listening has begun.
    await until('the first wake', () => wakes === 1);
    await outbox.enqueue([outboxCall({ due: { inMs: 60_000 } })], { tx });
    await tx.query('COMMIT; BEGIN');
    await outbox.enqueue([outboxCall(), outboxCall()], { tx });
    // A wake of the first would have come before this answer.
    await outboxOf(watcher).claim(0);
    expect(wakes).toBe(1);
    await tx.query('COMMIT');
    await until('the second wake', () => wakes === 2);
    await watch.stop();
  });

  it("does not depend on the client's type parsers", async () => {
    const odd = new Client({
      connectionString: serverUrl(),
      types: {
        getTypeParser: ((oid: number) => (text: string) => (oid === UUID_OID ? { text } : text)) as never,
      },
    });
    clients.push(odd);
    await odd.connect();
    await odd.query('BEGIN');
    const unique = uniqueClaim();
    const [first, second] = [outboxCall({ unique }), outboxCall({ unique })];
    expect(await outbox.enqueue([first, second], { tx: odd })).toEqual([
      { taskId: first.taskId, written: true },
      { taskId: first.taskId, written: false },
    ]);
    await odd.query('COMMIT');
  });

  describe('that fails', () => {
    const refused: readonly (readonly [string, () => Promise<{ tx: unknown }> | { tx: unknown }, RegExp])[] = [
      ['without a transaction', async () => ({ tx: await connected('SELECT 1') }), /call BEGIN/],
      ['on a pool', () => ({ tx: new Pool({ connectionString: serverUrl() }) }), /a Pool/],
      ['on what has no query', () => ({ tx: {} }), /without `query`/],
    ];

    it.each(refused)('%s is LOVAGE_TRANSACTION_REQUIRED', async (_what, make, message) => {
      const { tx: wrong } = await make();
      const call = outboxCall();
      expect(await thrown(outbox.enqueue([call], { tx: wrong as Client }))).toMatchObject({
        code: 'LOVAGE_TRANSACTION_REQUIRED',
        message: expect.stringMatching(message) as string,
      });
      expect(await rowsOf(call.taskId)).toEqual({ records: 0, messages: 0 });
    });

    it('in a transaction that has failed says so, and leaves it failed', async () => {
      await thrown(tx.query('SELECT 1/0'));
      expect(await thrown(outbox.enqueue([outboxCall()], { tx }))).toMatchObject({
        code: 'LOVAGE_TRANSACTION_REQUIRED',
        message: expect.stringContaining('has failed') as string,
      });
      await expect(tx.query('SELECT 1')).rejects.toMatchObject({ code: '25P02' });
    });

    it("keeps the user's own work, and the calls beside it on the same client", async () => {
      await tx.query('INSERT INTO orders VALUES (1)');
      const [good, bad, alsoGood] = [outboxCall(), outboxCall({ task: 'a\0b' }), outboxCall({ unique: uniqueClaim() })];
      const outcomes = await Promise.allSettled([good, bad, alsoGood].map((call) => outbox.enqueue([call], { tx })));
      expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
      expect(outcomes[1]).toMatchObject({ reason: { code: 'LOVAGE_RESULT_NOT_STORABLE' } });
      await tx.query('COMMIT');
      expect(await schema.sql('SELECT id FROM orders')).toEqual([{ id: 1 }]);
      expect(await Promise.all([good, bad, alsoGood].map(({ taskId }) => rowsOf(taskId)))).toEqual([
        { records: 1, messages: 1 },
        { records: 0, messages: 0 },
        { records: 1, messages: 1 },
      ]);
    });

    it('where the tables are missing is LOVAGE_SCHEMA, and says where they belong', async () => {
      const elsewhere = outboxOf(new TestSchema({ name: 'nowhere' }).backend());
      expect(await thrown(elsewhere.enqueue([outboxCall()], { tx }))).toMatchObject({
        code: 'LOVAGE_SCHEMA',
        message: expect.stringMatching(/the database that tx is connected to.*nowhere.*lovage migrate/) as string,
      });
      await tx.query('INSERT INTO orders VALUES (1); COMMIT');
    });

    it('where the connection is lost is LOVAGE_RESULTS_UNAVAILABLE', async () => {
      tx.on('error', () => {});
      const { rows } = await tx.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
      await schema.sql('SELECT pg_terminate_backend($1)', [rows[0]?.pid]);
      expect(await thrown(outbox.enqueue([outboxCall()], { tx }))).toMatchObject({
        code: 'LOVAGE_RESULTS_UNAVAILABLE',
      });
    });
  });

  describe('with a unique key', () => {
    it('of an open transaction waits for it, and stands for the same task then', async () => {
      const unique = uniqueClaim();
      const other = await connected();
      const [first, second] = [outboxCall({ unique }), outboxCall({ unique })];
      await outbox.enqueue([first], { tx });
      const answer = outbox.enqueue([second], { tx: other });
      await waiting();
      await tx.query('COMMIT');
      expect(await answer).toEqual([{ taskId: first.taskId, written: false }]);
      await other.query('COMMIT');
      expect(await rowsOf(second.taskId)).toEqual({ records: 0, messages: 0 });
    });

    it('gets it when that transaction is rolled back', async () => {
      const unique = uniqueClaim();
      const other = await connected();
      const second = outboxCall({ unique });
      await outbox.enqueue([outboxCall({ unique })], { tx });
      const answer = outbox.enqueue([second], { tx: other });
      await waiting();
      await tx.query('ROLLBACK');
      expect(await answer).toEqual([{ taskId: second.taskId, written: true }]);
      await other.query('COMMIT');
      expect(await rowsOf(second.taskId)).toEqual({ records: 1, messages: 1 });
    });

    it("passes on pg's own 40001 under REPEATABLE READ", async () => {
      const unique = uniqueClaim();
      const other = await connected('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM orders');
      await outbox.enqueue([outboxCall({ unique })], { tx });
      const answer = thrown(outbox.enqueue([outboxCall({ unique })], { tx: other }));
      await waiting();
      await tx.query('COMMIT');
      const error = await answer;
      expect(error).toMatchObject({ code: '40001', severity: 'ERROR' });
      expect(error).not.toBeInstanceOf(LovageError);
      await other.query('SELECT 1');
    });

    it("that another task holds does not make its holder's commit wait", async () => {
      const unique = uniqueClaim();
      const holder = outboxCall({ unique });
      await outbox.enqueue([holder]);
      expect(await outbox.enqueue([outboxCall({ unique })], { tx })).toEqual([
        { taskId: holder.taskId, written: false },
      ]);
      const end = completion(recordWrite({ id: holder.taskId }), { uniqueKey: unique.key });
      expect(await backend.commit([end])).toEqual(['applied']);
      await tx.query('COMMIT');
      const [next] = await outbox.enqueue([outboxCall({ unique })]);
      expect(next?.written).toBe(true);
    });

    it("that has run out and is replaced in an open transaction does not make its holder's commit wait either", async () => {
      const unique = uniqueClaim({ ttlMs: 1 });
      const holder = outboxCall({ unique, due: { at: new Date(0) } });
      await outbox.enqueue([holder]);
      await schema.sql('SELECT pg_sleep(0.01)');
      const next = outboxCall({ unique: { ...unique, ttlMs: 60_000 } });
      expect(await outbox.enqueue([next], { tx })).toEqual([{ taskId: next.taskId, written: true }]);
      const end = completion(recordWrite({ id: holder.taskId }), { uniqueKey: unique.key });
      expect(await backend.commit([end])).toEqual(['applied']);
      await outbox.release([{ key: unique.key, taskId: holder.taskId }]);
      await tx.query('COMMIT');
      const keys = await schema.sql('SELECT task_id FROM unique_keys WHERE key = $1', [unique.key]);
      expect(keys).toEqual([{ task_id: next.taskId }]);
    });
  });

  it('gives a key to one of 100 callers on connections of their own, inside and outside of transactions', async () => {
    const unique = uniqueClaim();
    const calls = Array.from({ length: 100 }, () => outboxCall({ unique }));
    const pool = new Pool({ connectionString: serverUrl(), max: 50 });
    const enqueue = async (call: (typeof calls)[number], index: number): Promise<EnqueueResult | undefined> => {
      if (index % 2 === 0) return (await outbox.enqueue([call]))[0];
      const client = await pool.connect();
      await client.query('BEGIN');
      const [result] = await outbox.enqueue([call], { tx: client });
      await client.query('COMMIT');
      client.release();
      return result;
    };
    const results = await Promise.all(calls.map(enqueue));
    await pool.end();
    const [winner, ...others] = results.filter((result) => result?.written);
    expect(others).toEqual([]);
    expect(new Set(results.map((result) => result?.taskId))).toEqual(new Set([winner?.taskId]));
    const written = await schema.sql('SELECT task_id FROM outbox WHERE task_id = ANY ($1)', [
      calls.map(({ taskId }) => taskId),
    ]);
    expect(written).toEqual([{ task_id: winner?.taskId }]);
  });
});
