import type { ResultBackend, RevocationStore } from '@lovage/core';
import { Client, escapeIdentifier } from 'pg';
import { outboxCall, outboxOf, uniqueClaim } from '../../test/outbox-support.js';
import { TestSchema, completion, recordWrite, until } from '../../test/support.js';

const PLAIN = { terminate: false, reason: 'a reason' } as const;

describe('revocations in PostgreSQL', () => {
  const schema = new TestSchema();
  let backend: ResultBackend;
  let revocations: RevocationStore;
  let other: Client;

  beforeAll(async () => {
    await schema.migrate();
    backend = await schema.started();
    revocations = backend.capabilities.revocations as RevocationStore;
    other = new Client({ connectionString: schema.url });
    await other.connect();
    await other.query(`SET search_path TO ${escapeIdentifier(schema.name)}`);
  });
  afterEach(() => other.query('ROLLBACK'));
  afterAll(async () => {
    await other.end();
    await schema.dispose();
  });

  async function isWaiting(): Promise<boolean> {
    const rows = await schema.sql(
      `SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%WITH unsent%'`,
    );
    return rows.length > 0;
  }

  it('hold up no commit while they wait for a transaction of somebody', async () => {
    const records = Array.from({ length: 20 }, () => recordWrite()).sort((a, b) => (a.id < b.id ? -1 : 1));
    const ids = records.map(({ id }) => id);
    const [locked = '', first, last] = [ids[10], records[0], records[19]];
    await other.query('BEGIN');
    await outboxOf(backend).enqueue([outboxCall({ taskId: locked })], { tx: other });
    const revoking = revocations.revoke(ids, PLAIN).catch((error: unknown) => error);
    await until('the revocation to wait', isWaiting);
    const begun = performance.now();
    const committed = backend.commit(
      [first, last].flatMap((record) => record ?? []).map((record) => completion(record)),
    );
    expect(await committed).toHaveLength(2);
    expect(performance.now() - begun).toBeLessThan(1_500);
    expect(await revoking).toMatchObject({
      code: 'LOVAGE_RESULTS_UNAVAILABLE',
      message: expect.stringContaining(`task ${locked} cannot be revoked now`) as string,
    });
    const states = await backend.states(ids);
    expect(ids.filter((id) => !states.has(id))).toEqual([locked]);
    await other.query('COMMIT');
    expect(await revocations.revoke([locked], PLAIN)).toEqual([{ id: locked, state: 'REVOKED' }]);
    expect((await outboxOf(backend).claim(100)).messages).toEqual([]);
  });

  it('take out what a commit writes that is under way beside them', async () => {
    const record = recordWrite({ state: 'STARTED' });
    const call = outboxCall({ taskId: record.id, due: { inMs: 3_600_000 } });
    await backend.commit([completion(record)]);
    await other.query('BEGIN');
    await other.query(`UPDATE task_results SET state = 'RETRY', attempt = 1 WHERE id = $1`, [record.id]);
    await outboxOf(backend).enqueue([{ ...call, record: null }], { tx: other });
    const revoking = revocations.revoke([record.id], PLAIN);
    await until('the revocation to wait', isWaiting);
    await other.query('COMMIT');
    expect(await revoking).toEqual([{ id: record.id, state: 'REVOKED' }]);
    expect(await outboxOf(backend).scheduled({ ids: [record.id] })).toEqual([]);
    expect(await backend.find({ ids: [record.id] })).toMatchObject([{ state: 'REVOKED', attempt: 1 }]);
  });

  it('wait for no message and no key that somebody has locked', async () => {
    const call = outboxCall({ unique: uniqueClaim(), due: { inMs: 3_600_000 } });
    await outboxOf(backend).enqueue([call]);
    await other.query('BEGIN');
    await other.query('SELECT FROM outbox WHERE task_id = $1 FOR UPDATE', [call.taskId]);
    await other.query('SELECT FROM unique_keys WHERE task_id = $1 FOR UPDATE', [call.taskId]);
    expect(await revocations.revoke([call.taskId], PLAIN)).toEqual([{ id: call.taskId, state: 'REVOKED' }]);
  });

  it('find the messages of a task by an index', async () => {
    await other.query('BEGIN');
    await other.query('SET LOCAL enable_seqscan = off');
    for (const condition of ['deliveries = 0', 'eta IS NOT NULL']) {
      const { rows } = await other.query<{ 'QUERY PLAN': string }>(
        `EXPLAIN SELECT FROM outbox WHERE task_id = ANY ('{a,b}') AND ${condition}`,
      );
      expect(rows.map((row) => row['QUERY PLAN']).join()).toContain('outbox_task_id');
    }
  });
});
