import { once } from 'node:events';
import { type AddressInfo, type Server, type Socket, connect, createServer } from 'node:net';
import { inspect } from 'node:util';
import type { ResultBackend, ResultsSettings } from '@lovage/core';
import { Pool } from 'pg';
import {
  RecordedEvents,
  TestSchema,
  completion,
  recordWrite,
  resultsSettings,
  serverUrl,
  until,
} from '../../test/support.js';
import { createResultBackend } from '../create-result-backend.js';

const PASSWORD = 'hunter2-never-shown';

function url(change: (url: URL) => void): string {
  const result = new URL(serverUrl());
  result.password = PASSWORD;
  change(result);
  return result.toString();
}

describe('connections to PostgreSQL', () => {
  const schema = new TestSchema();

  beforeAll(() => schema.migrate());
  afterAll(() => schema.dispose());

  const refused: readonly (readonly [string, Partial<ResultsSettings>, string, RegExp])[] = [
    ['a wrong password', { url: url(() => {}) }, 'LOVAGE_ACCESS_REFUSED', /28P01/],
    [
      'a missing database',
      { url: serverUrl().replace(/\/[^/]*$/, '/nowhere') },
      'LOVAGE_SCHEMA',
      /3D000.*create the database/,
    ],
    ['nobody at the port', { url: url((to) => (to.port = '1')) }, 'LOVAGE_RESULTS_UNAVAILABLE', /ECONNREFUSED/],
    [
      'an unknown host',
      { url: url((to) => (to.hostname = 'nowhere.invalid')) },
      'LOVAGE_RESULTS_UNAVAILABLE',
      /nowhere\.invalid/,
    ],
    ['a URL that is none', { url: `postgres://u:${PASSWORD}@h:port/x` }, 'LOVAGE_CONFIG', /Invalid URL/],
    ['a % that is no escape', { url: `postgres://u:${PASSWORD}%ffw@h/x` }, 'LOVAGE_CONFIG', /URI malformed.*as %25/],
    [
      'a server without TLS',
      {
        url: url((to) => (to.search = 'sslmode=require')),
        tls: { caFile: null, certFile: null, keyFile: null, serverName: null },
      },
      'LOVAGE_CONFIG',
      /does not support SSL/,
    ],
    [
      'a CA file that is missing',
      { url: url(() => {}), tls: { caFile: '/nowhere/ca.pem', certFile: null, keyFile: null, serverName: null } },
      'LOVAGE_CONFIG',
      /results\.tls\.caFile/,
    ],
  ];

  it.each(refused)('%s is a coded error without the password', async (_what, settings, code, message) => {
    const { context, seen } = new RecordedEvents();
    const backend = schema.backend({ schema: schema.name, ...settings }, context);
    const error: unknown = await backend.start({ retryForMs: 0 }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) as string });
    expect(inspect([error, seen, (error as Error).stack], { depth: 10, showHidden: true })).not.toContain(PASSWORD);
    await backend.stop();
  });

  it('tries its first connection for as long as told, saying so', async () => {
    const { context, of } = recorded();
    const backend = schema.backend({ url: url((to) => (to.port = '1')) }, context);
    await expect(backend.start({ retryForMs: 600 })).rejects.toMatchObject({ code: 'LOVAGE_RESULTS_UNAVAILABLE' });
    const retries = of('connection:retry');
    expect(retries.length).toBeGreaterThanOrEqual(2);
    expect(retries[0]).toMatchObject({ target: 'results', attempt: 1, url: expect.stringContaining('***') as string });
  });

  it('ends a start that is under way with LOVAGE_STOPPED', async () => {
    const events = new RecordedEvents();
    const backend = schema.backend({ url: url((to) => (to.port = '1')) }, events.context);
    const retried = events.next('connection:retry');
    const starting = backend.start({ retryForMs: 60_000 }).catch((thrown: unknown) => thrown);
    await retried;
    await backend.stop();
    expect(await starting).toMatchObject({ code: 'LOVAGE_STOPPED' });
  });

  it('ends a start at once though the server says nothing', async () => {
    const silent = createServer().listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    const backend = schema.backend({ url: url((to) => Object.assign(to, { hostname: '127.0.0.1', port: `${port}` })) });
    const connected = once(silent, 'connection') as Promise<[Socket]>;
    const starting = backend.start({ retryForMs: 60_000 }).catch((thrown: unknown) => thrown);
    const [socket] = await connected;
    const stoppedAt = performance.now();
    await backend.stop();
    expect(await starting).toMatchObject({ code: 'LOVAGE_STOPPED' });
    expect(performance.now() - stoppedAt).toBeLessThan(1_000);
    socket.destroy();
    silent.close();
  });

  it('gives a server that connects and then never answers five seconds to tell the schema', async () => {
    const proxy = await StallingProxy.start();
    const backend = schema.backend({ url: proxy.url });
    await backend.capabilities.schema?.status();
    proxy.stall();
    const startedAt = performance.now();
    await expect(backend.start({ retryForMs: 0 })).rejects.toMatchObject({ code: 'LOVAGE_RESULTS_UNAVAILABLE' });
    expect(performance.now() - startedAt).toBeLessThan(8_000);
    await backend.stop();
    proxy.stop();
  }, 15_000);

  it('stops within moments though a commit is under way that is never answered', async () => {
    const proxy = await StallingProxy.start();
    const backend = await schema.started({ url: proxy.url });
    proxy.stall();
    const committing = backend.commit([completion(recordWrite())]).catch((thrown: unknown) => thrown);
    const stoppedAt = performance.now();
    await backend.stop();
    expect(performance.now() - stoppedAt).toBeLessThan(6_000);
    expect(await committing).toMatchObject({ code: 'LOVAGE_RESULTS_UNAVAILABLE' });
    proxy.stop();
  }, 15_000);

  it('stops after the commit that is under way', async () => {
    const backend = await schema.started();
    const records = Array.from({ length: 500 }, () => recordWrite());
    const committing = backend.commit(records.map((record) => completion(record)));
    await backend.stop();
    expect(new Set(await committing)).toEqual(new Set(['applied']));
  });

  it('does not try again what is wrong with the URL', async () => {
    const backend = schema.backend({ url: 'postgres://u:50%ff@h/x' });
    const startedAt = performance.now();
    await expect(backend.start({ retryForMs: 60_000 })).rejects.toMatchObject({ code: 'LOVAGE_CONFIG' });
    expect(performance.now() - startedAt).toBeLessThan(1_000);
  });

  it.each([true, false])('with results.prepare %p limits what its sessions wait for: %p', async (prepare) => {
    const backend = await schema.started({ prepare }, { ...new RecordedEvents().context, name: `limits-${prepare}` });
    const blocker = new Pool({ connectionString: serverUrl(), max: 1 });
    const client = await blocker.connect();
    await client.query(`BEGIN; LOCK TABLE ${schema.name}.task_results IN ACCESS EXCLUSIVE MODE`);
    const found = backend.find({}).then(
      () => 'found',
      (error: unknown) => (error as { code: string }).code,
    );
    const blocked = `SELECT FROM pg_stat_activity WHERE application_name = 'lovage limits-${prepare}' AND wait_event_type = 'Lock'`;
    await until('a blocked query', async () => (await schema.sql(blocked)).length === 1);
    if (prepare) await until('its end', async () => (await schema.sql(blocked)).length === 0);
    await client.query('ROLLBACK');
    client.release();
    await blocker.end();
    expect(await found).toBe(prepare ? 'LOVAGE_RESULTS_UNAVAILABLE' : 'found');
  });

  it('says when it is connected, and refuses work once stopped', async () => {
    const { context, of } = recorded();
    const backend = await schema.started({}, context);
    expect(of('connection:open')).toMatchObject([{ target: 'results' }]);
    await backend.stop();
    await expect(backend.find({})).rejects.toMatchObject({ code: 'LOVAGE_STOPPED' });
    await expect(backend.commit([completion(recordWrite())])).rejects.toMatchObject({
      code: 'LOVAGE_STOPPED',
    });
  });

  it('survives the death of idle connections and works on', async () => {
    const events = new RecordedEvents();
    const backend = await schema.started({}, { ...events.context, name: 'idle-death' });
    await Promise.all(Array.from({ length: 3 }, () => backend.find({})));
    const lost = events.next('connection:lost');
    await schema.sql(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'lovage idle-death'",
    );
    expect((await lost).error).toMatchObject({ code: 'LOVAGE_RESULTS_UNAVAILABLE' });
    await recovered(backend);
    expect(events.of('connection:open')).toHaveLength(2);
  });

  it('survives the death of a connection at work, and the same call may be made again', async () => {
    const events = new RecordedEvents();
    const backend = await schema.started({}, { ...events.context, name: 'busy-death' });
    const record = recordWrite();
    const blocker = new Pool({ connectionString: serverUrl(), max: 1 });
    const client = await blocker.connect();
    await client.query(`BEGIN; LOCK TABLE ${schema.name}.task_results IN EXCLUSIVE MODE`);
    const committing = backend.commit([completion(record)]).catch((thrown: unknown) => thrown);
    const busy =
      "SELECT pid FROM pg_stat_activity WHERE application_name = 'lovage busy-death' AND wait_event_type = 'Lock'";
    await until('a blocked commit', async () => (await schema.sql(busy)).length === 1);
    await schema.sql(`SELECT pg_terminate_backend(pid) FROM (${busy}) AS blocked`);
    expect(await committing).toMatchObject({ code: 'LOVAGE_RESULTS_UNAVAILABLE' });
    await client.query('ROLLBACK');
    client.release();
    await blocker.end();
    expect(await backend.commit([completion(record)])).toEqual(['applied']);
  });

  it('tries again at once what a deadlock undid', async () => {
    const backend = await schema.started({}, { ...new RecordedEvents().context, name: 'deadlock' });
    const [a, b] = ['a', 'b'].map((letter) =>
      recordWrite({ id: `deadlock-${letter}-${schema.name}`, state: 'STARTED' }),
    );
    if (a === undefined || b === undefined) return;
    await backend.commit([a, b].map((record) => completion(record)));
    const pool = new Pool({ connectionString: serverUrl(), max: 1 });
    const client = await pool.connect();
    // Never this one: it would wait longer than the other before it looks for a deadlock.
    await client.query(`BEGIN; SET LOCAL deadlock_timeout = '60s'`);
    const lock = `SELECT FROM ${schema.name}.task_results WHERE id = $1 FOR UPDATE`;
    await client.query(lock, [b.id]);
    const committing = backend.commit([a, b].map((record) => completion({ ...record, state: 'SUCCESS' })));
    const blocked =
      "SELECT pid FROM pg_stat_activity WHERE application_name = 'lovage deadlock' AND wait_event_type = 'Lock'";
    await until('a blocked commit', async () => (await schema.sql(blocked)).length === 1);
    await client.query(lock, [a.id]);
    await client.query('COMMIT');
    client.release();
    await pool.end();
    expect(await committing).toEqual(['applied', 'applied']);
  });

  it('never ends a pool that was handed in, and keeps it from crashing the process', async () => {
    const pool = new Pool({ connectionString: serverUrl(), max: 2, application_name: 'handed-in' });
    const { context, of } = recorded();
    const backend = await schema.started({ pool, url: '' }, context);
    await backend.commit([completion(recordWrite())]);
    await schema.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'handed-in'");
    await until('the loss', () => of('connection:lost').length === 1);
    await recovered(backend);
    await backend.stop();
    expect(pool.ended || pool.ending).toBe(false);
    expect(pool.listenerCount('error')).toBe(0);
    expect((await pool.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    await pool.end();
  });

  it.each([null, 5, {}, { query: () => {} }].slice(1))('refuses %p as a pool', (pool) => {
    const create = (): ResultBackend =>
      createResultBackend(resultsSettings({ pool, url: '' }), new RecordedEvents().context);
    expect(create).toThrow(expect.objectContaining({ code: 'LOVAGE_CONFIG' }) as Error);
  });

  it.each([
    [true, 1],
    [false, 0],
  ])('with results.prepare %p leaves %p named upserts in a connection', async (prepare, count) => {
    const pool = new Pool({ connectionString: serverUrl(), max: 1 });
    const backend = await schema.started({ pool, url: '', prepare });
    for (let call = 0; call < 3; call += 1) await backend.commit([completion(recordWrite())]);
    const { rows } = await pool.query("SELECT name FROM pg_prepared_statements WHERE statement LIKE '%INSERT INTO%'");
    expect(rows).toHaveLength(count);
    await backend.stop();
    await pool.end();
  });

  it('lets two schemas share a pool', async () => {
    const other = new TestSchema();
    await other.migrate();
    const pool = new Pool({ connectionString: serverUrl(), max: 1 });
    const record = recordWrite();
    for (const one of [schema, other]) {
      const backend = await one.started({ pool, url: '' });
      expect(await backend.commit([completion(record)])).toEqual(['applied']);
      await backend.stop();
    }
    await pool.end();
    await other.dispose();
  });

  function recorded(): { context: RecordedEvents['context']; of: RecordedEvents['of'] } {
    const events = new RecordedEvents();
    return { context: events.context, of: (name) => events.of(name) };
  }

  /** The first call may still meet a connection whose death has not been heard of. */
  async function recovered(backend: ResultBackend): Promise<void> {
    await until('an answer', () =>
      backend.find({ limit: 1 }).then(
        () => true,
        () => false,
      ),
    );
  }
});

/** Stands before the server, and can fall silent: connections stay open, and nothing comes through. */
class StallingProxy {
  readonly url: string;
  readonly #server: Server;
  readonly #sockets: Set<Socket>;

  private constructor(server: Server, sockets: Set<Socket>) {
    this.#server = server;
    this.#sockets = sockets;
    const { port } = server.address() as AddressInfo;
    const url = new URL(serverUrl());
    url.host = `127.0.0.1:${port}`;
    this.url = url.toString();
  }

  static async start(): Promise<StallingProxy> {
    const { hostname, port } = new URL(serverUrl());
    const sockets = new Set<Socket>();
    const server = createServer((near) => {
      const far = connect({ host: hostname, port: Number(port) });
      for (const [socket, other] of [
        [near, far],
        [far, near],
      ] as const) {
        sockets.add(socket);
        socket.on('error', () => {});
        socket.on('close', () => other.destroy());
        socket.pipe(other);
      }
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new StallingProxy(server, sockets);
  }

  stall(): void {
    for (const socket of this.#sockets) {
      socket.unpipe();
      socket.resume().on('data', () => {});
    }
  }

  stop(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }
}
