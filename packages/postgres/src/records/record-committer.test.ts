import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Completion, type RecordWrite, type ResultBackend, isLovageError } from '@lovage/core';
import { Client } from 'pg';
import { outboxCall, outboxMessage, outboxOf, uniqueClaim } from '../../test/outbox-support.js';
import { TestSchema, completion, recordWrite } from '../../test/support.js';
import { entryOf, recordBatches } from './record-batches.js';

describe('commits to PostgreSQL', () => {
  const schema = new TestSchema();
  let backend: ResultBackend;

  beforeAll(async () => {
    await schema.migrate();
    backend = await schema.started();
  });
  afterAll(() => schema.dispose());

  const nested = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`;
  const bad: Readonly<Record<string, readonly [Partial<RecordWrite>, RegExp]>> = {
    'a NUL in jsonb (22P05)': [{ resultJson: '"\\u0000"' }, /22P05/],
    'a lone surrogate (22P02)': [{ argsJson: '["\\udc00"]' }, /22P02/],
    'JSON that is none (22P02)': [{ progressJson: '{' }, /22P02/],
    'a number out of range (22003)': [{ resultJson: '1e400000' }, /22003/],
    'nesting 100,000 deep (54001)': [{ resultJson: nested(100_000) }, /54001/],
    'a NUL in text (22021)': [{ task: 'a\0b' }, /22021/],
    'a NUL in an error': [{ error: { type: 'Error', message: '\0', stack: null } }, /22P05/],
    'an id of 256 characters (23514)': [{ id: 'x'.repeat(256) }, /23514/],
    'an empty id (23514)': [{ id: '' }, /23514/],
    'an id with a NUL': [{ id: 'a\0b' }, /its id holds a NUL/],
    'an id with a lone surrogate': [{ id: 'a\ud800b' }, /lone surrogate/],
    'an attempt out of range (22003)': [{ attempt: 2 ** 31 }, /22003/],
    'a run time that is no number (22P02)': [{ runtimeMs: NaN }, /22P02/],
    'a result of 300 MB': [{ resultJson: `"${'x'.repeat(300 * 2 ** 20)}"` }, /expected at most/],
  };

  it.each(Object.entries(bad))('%s harms none of 255 neighbours', async (_what, [fields, message]) => {
    const writes = Array.from({ length: 256 }, (_, index) => recordWrite(index === 77 ? fields : {}));
    const results = await backend.commit(writes.map((record) => completion(record)));
    const refused = results[77];
    expect(isLovageError(refused, 'LOVAGE_RESULT_NOT_STORABLE')).toBe(true);
    expect((refused as Error).message).toMatch(message);
    expect(results.filter((result) => result === 'applied')).toHaveLength(255);
    expect(await backend.find({ ids: writes.map(({ id }) => id) })).toHaveLength(255);
  });

  it.each([
    [true, 'on', 'on'],
    [false, 'off', 'on'],
  ])(
    'with results.synchronousCommit %p an end is committed with it %s, and one that causes more with it %s',
    async (synchronousCommit, alone, withMore) => {
      await schema.sql(`CREATE TABLE seen (id text, setting text);
        CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS
          $$ BEGIN INSERT INTO seen VALUES (NEW.id, current_setting('synchronous_commit')); RETURN NULL; END $$;
        CREATE TRIGGER see AFTER INSERT OR UPDATE ON task_results FOR EACH ROW EXECUTE FUNCTION see()`);
      try {
        const other = await schema.started({ synchronousCommit, poolSize: 1 });
        const records = ['end', 'more', 'after'].map((id) => recordWrite({ id: `${id} ${synchronousCommit}` }));
        const [end, more, after] = records as [RecordWrite, RecordWrite, RecordWrite];
        await other.commit([completion(end)]);
        await other.commit([completion(more, { followUps: [outboxMessage()] })]);
        expect(await other.commit([completion(after)])).toEqual(['applied']);
        expect(await other.commit([completion(after)])).toEqual(['superseded']);
        expect(
          (await schema.sql<{ setting: string }>('SELECT setting FROM seen')).map(({ setting }) => setting),
        ).toEqual([alone, withMore, alone]);
      } finally {
        await schema.sql('DROP TRIGGER see ON task_results; DROP FUNCTION see; DROP TABLE seen');
      }
    },
  );

  it('stores all that JSON and text can otherwise hold', async () => {
    const text = 'é 𝄞 {},"\\\'\n\t\u0001 \\u0000 NULL';
    const value = { [text]: [text, 1e300, -0.1, '', null, { __proto__: 1 }, JSON.parse('{"__proto__":{"a":1}}')] };
    const record = recordWrite({
      task: text,
      queue: text,
      worker: text,
      resultJson: JSON.stringify(value),
      argsJson: nested(1_000),
    });
    expect(await backend.commit([completion(record)])).toEqual(['applied']);
    const [found] = await backend.find({ ids: [record.id] });
    expect(found).toMatchObject({ task: text, queue: text, worker: text });
    expect(JSON.stringify(found?.result)).toBe(JSON.stringify(value));
    expect(JSON.stringify(found?.args)).toBe(nested(1_000));
  });

  it('splits a call of 40 MB into statements', async () => {
    const resultJson = JSON.stringify('é'.repeat(500_000));
    const writes = Array.from({ length: 40 }, () => recordWrite({ resultJson }));
    const results = await backend.commit(writes.map((record) => completion(record)));
    expect(new Set(results)).toEqual(new Set(['applied']));
  });

  it('ends racing commits of the same ids in opposite order, without a deadlock', async () => {
    const other = await schema.started();
    const deadlocks = async (): Promise<number> => {
      const [row] = await schema.sql<{ deadlocks: string }>(
        'SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()',
      );
      return Number(row?.deadlocks);
    };
    const before = await deadlocks();
    for (let pair = 0; pair < 20; pair += 1) {
      const first = Array.from({ length: 500 }, () => completion(recordWrite({ state: 'STARTED' })));
      const second = [...first].reverse();
      const results = await Promise.all([backend.commit(first), other.commit(second), backend.commit(second)]);
      expect(new Set(results.flat())).toEqual(new Set(['applied']));
    }
    await other.stop(); // a session adds its counts when it ends
    expect(await deadlocks()).toBe(before);
  });

  it('answers a record that an open transaction holds alone, and settles its neighbours meanwhile', async () => {
    const client = new Client({ connectionString: schema.url });
    await client.connect();
    const held = outboxCall();
    await client.query('BEGIN');
    await outboxOf(backend).enqueue([held], { tx: client });
    const records = Array.from({ length: 256 }, (_, index) => recordWrite(index === 77 ? { id: held.taskId } : {}));
    const startedAt = performance.now();
    const results = await backend.commit(records.map((record) => completion(record)));
    // Two seconds for the batch, and moments for each half of it.
    expect(performance.now() - startedAt).toBeLessThan(6_000);
    expect(results[77]).toMatchObject({
      code: 'LOVAGE_RESULTS_UNAVAILABLE',
      message: expect.stringContaining(held.taskId) as string,
    });
    expect(results.filter((result) => result === 'applied')).toHaveLength(255);
    await client.query('COMMIT');
    await client.end();
    expect(await backend.commit([completion(recordWrite({ id: held.taskId }))])).toEqual(['applied']);
  });

  it('puts follow-ups of 8 MB into statements of their own, and refuses one that is too large', async () => {
    const { message } = outboxMessage();
    const causing = (bytes: number): Completion => {
      const followUp = outboxMessage({ message: { ...message, body: Buffer.alloc(bytes, 0x20) } });
      return completion(recordWrite(), { followUps: [followUp] });
    };
    const entries = [5, 5, 0, 9].map((megabytes, index) => entryOf(causing(megabytes * 2 ** 20), index));
    const batches = recordBatches(entries);
    expect(batches.map(({ length }) => length).sort()).toEqual([1, 1, 2].sort());
    const results = await backend.commit([causing(256 * 2 ** 20), causing(1)]);
    expect(isLovageError(results[0], 'LOVAGE_RESULT_NOT_STORABLE')).toBe(true);
    expect(results[1]).toBe('applied');
  });

  it('is read by the queries of docs/reference/tables.md', async () => {
    const error = { type: 'RangeError', message: 'division by zero', stack: null };
    const record = recordWrite({
      task: 'billing.divide',
      state: 'FAILURE',
      argsJson: '[1,0]',
      resultJson: null,
      error,
      runtimeMs: 2_000,
    });
    await backend.commit([completion(record)]);
    const page = readFileSync(join(__dirname, '..', '..', '..', '..', 'docs', 'reference', 'tables.md'), 'utf8');
    const queries = [...page.matchAll(/^```sql\n(.*?)^```/gms)].map(([, sql = '']) =>
      sql.replaceAll('lovage.', `${schema.name}.`),
    );
    const [failures, durations, line, scheduled, depth, held] = queries.map((sql) =>
      sql.replace(/'01931f6e[^']*'/, `'${record.rootId}'`),
    );
    expect(await schema.sql(failures ?? '')).toContainEqual(
      expect.objectContaining({ id: record.id, args: [1, 0], type: 'RangeError' }),
    );
    const [divide] = await schema.sql(
      `SELECT * FROM (${durations?.replace(';', '')}) AS found WHERE task = 'billing.divide'`,
    );
    expect(divide).toMatchObject({ runs: '1', failures: '1', median: { seconds: 2 } });
    expect(await schema.sql(line ?? '')).toMatchObject([{ id: record.id, state: 'FAILURE' }]);

    await schema.sql('TRUNCATE outbox, unique_keys');
    const later = outboxCall({ due: { inMs: 3_600_000 }, unique: uniqueClaim() });
    await outboxOf(backend).enqueue([later, outboxCall({ due: { at: new Date(0) } }), outboxCall()]);
    expect(await schema.sql(scheduled ?? '')).toMatchObject([{ retries: 0 }, { task_id: later.taskId, args: '[1,2]' }]);
    expect(await schema.sql(depth ?? '')).toMatchObject([{ later: '1', due: '2' }]);
    expect(await schema.sql(held ?? '')).toMatchObject([{ task_id: later.taskId, state: 'PENDING', scope: 'running' }]);
    expect(queries).toHaveLength(6);
  });

  it.each(['task_results', 'outbox', 'unique_keys', 'queues', 'consumers'])(
    'has a table %s with the columns of docs/reference/tables.md',
    async (table) => {
      const page = readFileSync(join(__dirname, '..', '..', '..', '..', 'docs', 'reference', 'tables.md'), 'utf8');
      const section = page.split(/^## /m).find((part) => part.startsWith(`${table}\n`)) ?? '';
      const documented = [...section.matchAll(/^\| (`[^|]+`)\s+\| (\w+)\s+\|/gm)].flatMap(([, names = '', type]) =>
        [...names.matchAll(/`(\w+)`/g)].map(([, name]) => ({ name, type })),
      );
      const columns = await schema.sql(
        `SELECT attname AS name, replace(format_type(atttypid, atttypmod), 'timestamp with time zone', 'timestamptz') AS type
       FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`,
        [table],
      );
      expect(documented).toEqual(columns);
    },
  );
});
