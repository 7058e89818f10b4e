import { type ResultBackend, type TaskRecord, systemRuntime } from '@lovage/core';
import { Client, Pool } from 'pg';
import { outboxCall, outboxOf } from '../../test/outbox-support.js';
import { RecordedEvents, TestSchema, completion, recordWrite, serverUrl, until } from '../../test/support.js';
import { replyChannelOf, wokenIds } from './reply-channel.js';

describe('waiting for results', () => {
  const schema = new TestSchema();
  let worker: ResultBackend;

  beforeAll(async () => {
    await schema.migrate();
    worker = await schema.started();
  });
  afterAll(() => schema.dispose());

  function wait(backend: ResultBackend, id: string): Promise<TaskRecord> {
    return backend.waitFor(id, AbortSignal.timeout(8_000));
  }

  /** Waits for one task, so that the backend listens. */
  async function listening(backend: ResultBackend): Promise<string> {
    const record = recordWrite();
    const waited = wait(backend, record.id);
    await until('a reply channel', () => backend.replyChannel !== null);
    await worker.commit([completion(record, { replyTo: backend.replyChannel })]);
    await waited;
    return backend.replyChannel ?? '';
  }

  async function listeners(name: string): Promise<number[]> {
    const rows = await schema.sql<{ pid: number }>('SELECT pid FROM pg_stat_activity WHERE application_name = $1', [
      `lovage ${name} listen`,
    ]);
    return rows.map(({ pid }) => pid);
  }

  it('listens from the first wait on, on one channel', async () => {
    const { context } = new RecordedEvents();
    const backend = await schema.started({}, { ...context, name: 'first-wait' });
    expect(await listeners('first-wait')).toEqual([]);
    const channel = await listening(backend);
    expect(channel).toMatch(/^lovage_[0-9a-f]{32}$/);
    expect(await listening(backend)).toBe(channel);
    expect(await listeners('first-wait')).toHaveLength(1);
    await backend.stop();
    expect(backend.replyChannel).toBeNull();
    await until('no listener', async () => (await listeners('first-wait')).length === 0);
  });

  it('is woken by the announcement alone', async () => {
    // A clock that stands still: no poll is ever due.
    const runtime = { ...systemRuntime, monotonic: () => 0 };
    const backend = await schema.started({ poolSize: 1 }, { ...new RecordedEvents().context, runtime });
    await listening(backend);
    const record = recordWrite();
    const waited = wait(backend, record.id);
    // The read that every wait begins with goes out on the loop's next turn; over one connection, what follows it is answered after it.
    await new Promise((resolve) => setImmediate(resolve));
    expect(await backend.find({ ids: [record.id] })).toEqual([]);
    await worker.commit([completion(record, { replyTo: backend.replyChannel })]);
    expect(await waited).toMatchObject({ id: record.id });
  });

  it('announces after the commit, only ends, many in one payload', async () => {
    const channel = replyChannelOf(systemRuntime.uuid());
    const client = new Client({ connectionString: serverUrl() });
    const payloads: string[] = [];
    client.on('notification', ({ payload }) => payloads.push(payload ?? ''));
    await client.connect();
    await client.query(`LISTEN ${channel}`);
    const ended = Array.from({ length: 500 }, () => recordWrite());
    const writes = [recordWrite({ state: 'STARTED' }), recordWrite({ resultJson: '"\\u0000"' }), ...ended];
    await worker.commit(writes.map((record) => completion(record, { replyTo: channel })));
    await until('500 wakes', () => payloads.flatMap(wokenIds).length >= 500);
    expect(payloads).toHaveLength(3);
    expect(payloads.flatMap(wokenIds)).toEqual(ended.map(({ id }) => id));
    await client.end();
  });

  it('polls while the listening connection is lost, and is woken again once it is back', async () => {
    const events = new RecordedEvents();
    const backend = await schema.started({}, { ...events.context, name: 'loss' });
    const channel = await listening(backend);
    const [pid] = await listeners('loss');
    const lost = events.next('warning');
    await schema.sql('SELECT pg_terminate_backend($1)', [pid]);
    expect((await lost).message).toContain('polling until it is back');
    const unheard = recordWrite();
    const waited = wait(backend, unheard.id);
    await worker.commit([completion(unheard)]);
    expect(await waited).toMatchObject({ id: unheard.id });
    await until('another listener', async () => {
      const [again] = await listeners('loss');
      return again !== undefined && again !== pid;
    });
    expect(await listening(backend)).toBe(channel);
    expect(events.of('warning')).toHaveLength(1);
  });

  it('says once that it polls where notifications do not come through', async () => {
    // Another database of the same server takes the LISTEN and hears nothing, as behind a pooler.
    const elsewhere = new URL(serverUrl());
    elsewhere.pathname = '/postgres';
    const events = new RecordedEvents();
    const backend = await schema.started({ listenUrl: elsewhere.toString() }, events.context);
    const warned = events.next('warning');
    const records = [recordWrite(), recordWrite()];
    const waits = records.map(({ id }) => wait(backend, id));
    await worker.commit(records.map((record) => completion(record, { replyTo: backend.replyChannel })));
    await Promise.all(waits);
    expect((await warned).message).toContain('results.listenUrl');
    expect(backend.replyChannel).toBeNull();
    expect(events.of('warning')).toHaveLength(1);
  }, 15_000);

  it('says once that it polls where the URL to listen at is wrong, and does not try again', async () => {
    const events = new RecordedEvents();
    const backend = await schema.started({ listenUrl: 'postgres://u:50%ff@h/x' }, events.context);
    const warned = events.next('warning');
    const record = recordWrite();
    const waited = wait(backend, record.id);
    expect(await warned).toMatchObject({ error: { code: 'LOVAGE_CONFIG' } });
    await worker.commit([completion(record)]);
    expect(await waited).toMatchObject({ id: record.id });
    expect(events.of('warning')).toHaveLength(1);
  });

  it('listens for results and the outbox over one connection, and only for what is followed', async () => {
    const { context } = new RecordedEvents();
    const backend = await schema.started({}, { ...context, name: 'both' });
    const outbox = outboxOf(backend);
    let wakes = 0;
    const watches = [outbox.watch(() => (wakes += 1)), outbox.watch(() => (wakes += 1))];
    await until('listening', () => wakes === 2);
    expect(backend.replyChannel).toBeNull();
    await listening(backend);
    expect(await listeners('both')).toHaveLength(1);
    await outboxOf(worker).enqueue([outboxCall()]);
    await until('a wake of both', () => wakes === 4);
    await watches[0]?.stop();
    await watches[0]?.stop();
    await outboxOf(worker).enqueue([outboxCall()]);
    await until('a wake of the other', () => wakes === 5);
    await watches[1]?.stop();
    await outboxOf(worker).enqueue([outboxCall()]);
    await listening(backend);
    expect(wakes).toBe(5);
  });

  it('wakes who watches once the connection is back: it may have missed something', async () => {
    const { context } = new RecordedEvents();
    const backend = await schema.started({}, { ...context, name: 'watch-loss' });
    let wakes = 0;
    outboxOf(backend).watch(() => (wakes += 1));
    await until('listening', () => wakes === 1);
    await schema.sql('SELECT pg_terminate_backend($1)', await listeners('watch-loss'));
    await until('a wake after the loss', () => wakes === 2);
  });

  it('watches nothing with a pool handed in, without a word', async () => {
    const pool = new Pool({ connectionString: serverUrl(), max: 1 });
    const events = new RecordedEvents();
    const backend = await schema.started({ pool, url: '' }, events.context);
    const watch = outboxOf(backend).watch(() => {});
    await outboxOf(backend).enqueue([outboxCall()]);
    await watch.stop();
    await backend.stop();
    await pool.end();
    expect(events.of('warning')).toEqual([]);
  });

  it('polls with a pool handed in, and is woken where listenUrl stands beside it', async () => {
    const pool = new Pool({ connectionString: serverUrl(), max: 1 });
    const events = new RecordedEvents();
    const polling = await schema.started({ pool, url: '' }, events.context);
    const record = recordWrite();
    const waited = wait(polling, record.id);
    await worker.commit([completion(record, { replyTo: polling.replyChannel })]);
    expect(await waited).toMatchObject({ id: record.id });
    expect(events.of('warning')).toMatchObject([{ message: expect.stringContaining('listenUrl') as string }]);
    const woken = await schema.started({ pool, url: '', listenUrl: serverUrl() });
    await listening(woken);
    await polling.stop();
    await woken.stop();
    await pool.end();
  });
});
