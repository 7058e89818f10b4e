import { Client } from 'pg';
import { privateResults, type Postgres } from '../../../../test/support/private-results.js';
import { TcpProxy } from '../../../../test/support/tcp-proxy.js';
import { Receiver, Transports, codesOf, declared, inspectorOf, message, publish } from '../../test/queue-support.js';
import { RecordedEvents, TestSchema, brokerSettings, until } from '../../test/support.js';
import { createTransport } from '../create-transport.js';

const schema = new TestSchema();
const transports = new Transports(schema);

beforeAll(() => schema.migrate());
afterEach(async () => {
  await transports.stop();
  await schema.sql('TRUNCATE outbox, queues, consumers');
});
afterAll(() => schema.dispose());

function withUrl(change: (url: URL) => void): string {
  const url = new URL(schema.url);
  change(url);
  return url.href;
}

async function failureOf(promise: Promise<unknown>): Promise<{ readonly code: string; readonly message: string }> {
  const [outcome] = await Promise.allSettled([promise]);
  if (outcome.status === 'fulfilled') throw new RangeError('expected a failure');
  return outcome.reason as { readonly code: string; readonly message: string };
}

describe('a start that cannot succeed', () => {
  it('names both URLs where there are two, without their passwords', () => {
    const url = 'postgres://me:secret@localhost/a';
    const make = (): unknown => createTransport(brokerSettings({ urls: [url, url] }), new RecordedEvents().context);
    expect(make).toThrow(expect.objectContaining({ code: 'LOVAGE_CONFIG' }) as Error);
    expect(make).toThrow('postgres://me:***@localhost/a, postgres://me:***@localhost/a');
  });

  it('for a password ends at once', async () => {
    const role = `${schema.name}_role`;
    await schema.sql(`CREATE ROLE ${role} LOGIN PASSWORD 'right-one'`);
    try {
      const url = withUrl((each) => Object.assign(each, { username: role, password: 'wrong-one' }));
      const failure = await failureOf(transports.started({ urls: [url] }));
      expect(failure.code).toBe('LOVAGE_ACCESS_REFUSED');
      expect(failure.message).not.toContain('wrong-one');
    } finally {
      await schema.sql(`DROP ROLE ${role}`);
    }
  });

  it('for a database says so', async () => {
    const url = withUrl((each) => (each.pathname = '/nowhere'));
    const failure = await failureOf(transports.started({ urls: [url] }));
    expect(failure).toMatchObject({ code: 'LOVAGE_SCHEMA' });
    expect(failure.message).toContain('lovage migrate');
  });

  it('for missing tables names the command that makes them', async () => {
    const failure = await failureOf(transports.started({ schema: 'nowhere' }));
    expect(failure).toMatchObject({ code: 'LOVAGE_SCHEMA' });
    expect(failure.message).toContain('lovage migrate -A <app>');
  });

  it('for a server ends when the time is over, and may be tried again', async () => {
    const proxy = await TcpProxy.start(schema.url);
    await proxy.refuse();
    const events = new RecordedEvents();
    const transport = transports.make({ urls: [proxy.url] }, events);
    expect(await failureOf(transport.start({ retryForMs: 0 }))).toMatchObject({ code: 'LOVAGE_BROKER_UNAVAILABLE' });
    const starting = transport.start({ retryForMs: 5_000 });
    expect(await events.next('connection:retry')).toMatchObject({ target: 'broker', attempt: 1 });
    await proxy.accept();
    await starting;
    await transport.stop();
    await proxy.stop();
  });
});

describe('connection events', () => {
  it("are the broker's, one pair an outage, masked", async () => {
    const proxy = await TcpProxy.start(schema.url);
    const events = new RecordedEvents();
    const transport = await transports.started({ urls: [proxy.url] }, events);
    const queue = await declared(transport);
    const receiver = await Receiver.on(transport, queue, { ack: true });
    for (let outage = 1; outage <= 2; outage += 1) {
      await proxy.refuse();
      await until('the outage to be noticed', () => !receiver.consumer.consuming);
      await proxy.accept();
      await until('it to consume', () => receiver.consumer.consuming);
      await publish(transport, message(queue));
      await receiver.until(outage);
    }
    const { host } = new URL(proxy.url);
    expect(events.of('connection:open')).toHaveLength(3);
    expect(events.of('connection:lost')).toHaveLength(2);
    for (const event of [...events.of('connection:open'), ...events.of('connection:lost')])
      expect(event).toMatchObject({ target: 'broker', url: expect.stringContaining(`:***@${host}`) as string });
    const said = JSON.stringify(events.seen, (_key, value: unknown) =>
      value instanceof Error ? value.message : value,
    );
    expect(said).not.toContain(`:${new URL(schema.url).password}@`);
    await transport.stop();
    await proxy.stop();
  });
});

describe('the name of the table', () => {
  it('is the same through every connection, and that of no other schema', async () => {
    const other = new TestSchema();
    await other.migrate();
    try {
      const elsewhere = withUrl((url) => url.searchParams.set('application_name', 'x'));
      const ids: (string | undefined)[] = [];
      for (const fields of [{}, { urls: [elsewhere] }, { schema: other.name }])
        ids.push(await transports.make(fields).capabilities.table?.id());
      expect(ids[0]).toBe(ids[1]);
      expect(ids[0]).not.toBe(ids[2]);
      const backend = await schema.started();
      expect(await backend.capabilities.outbox?.tableId?.()).toBe(ids[0]);
    } finally {
      await transports.stop();
      await other.dispose();
    }
  });

  it('needs no right that an owner of the schema lacks', async () => {
    const role = `${schema.name}_user`;
    await schema.sql(`CREATE ROLE ${role} LOGIN PASSWORD 'p'`);
    try {
      await schema.sql(`GRANT USAGE ON SCHEMA ${schema.name} TO ${role}`);
      await schema.sql(`GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${schema.name} TO ${role}`);
      const url = withUrl((each) => Object.assign(each, { username: role, password: 'p' }));
      const transport = await transports.started({ urls: [url] });
      expect(await transport.capabilities.table?.id()).toMatch(/./);
      const queue = await declared(transport);
      const receiver = await Receiver.on(transport, queue, { ack: true });
      await publish(transport, message(queue));
      await receiver.until(1);
      await transport.stop();
    } finally {
      await schema.sql(`DROP OWNED BY ${role}`);
      await schema.sql(`DROP ROLE ${role}`);
    }
  });
});

describe('stop', () => {
  let proxy: TcpProxy;

  beforeEach(async () => {
    proxy = await TcpProxy.start(schema.url);
  });
  afterEach(async () => {
    // Each connection of its came through the proxy.
    await until('no connection to be left', () => proxy.connections === 0);
    await proxy.stop();
  });

  it('during the first connection ends it', async () => {
    proxy.holdAnswers();
    const transport = transports.make({ urls: [proxy.url], connectTimeoutMs: 500 });
    const starting = failureOf(transport.start({ retryForMs: 60_000 }));
    await until('it to connect', () => proxy.connections > 0);
    await transport.stop();
    expect(await starting).toMatchObject({ code: 'LOVAGE_STOPPED' });
  });

  it('between two attempts ends them', async () => {
    await proxy.refuse();
    const events = new RecordedEvents();
    const transport = transports.make({ urls: [proxy.url] }, events);
    const starting = failureOf(transport.start({ retryForMs: 60_000 }));
    await events.next('connection:retry');
    await transport.stop();
    expect(await starting).toMatchObject({ code: 'LOVAGE_STOPPED' });
  });

  it.each([
    ['while nothing happens', async () => undefined],
    ['while the server does not answer', async () => proxy.holdAnswers()],
    ['while the server is away', () => proxy.refuse()],
    ['just after the connections are cut', async () => proxy.cut()],
  ])(
    '%s leaves no connection and no consumer that takes anything',
    async (_when, happen) => {
      const transport = await transports.started({ urls: [proxy.url] });
      const queue = await declared(transport);
      const receivers = await Promise.all([1, 2, 3].map(() => Receiver.on(transport, queue, { prefetch: 10 })));
      await publish(transport, ...Array.from({ length: 12 }, () => message(queue)));
      await until('them to arrive', () => receivers.flatMap(({ deliveries }) => deliveries).length === 12);
      await happen();
      const sending = transport.publish([message(queue), message(queue)]);
      const start = Date.now();
      await transport.stop();
      expect(Date.now() - start).toBeLessThan(7_000);
      for (const code of codesOf(await sending)) expect([null, 'LOVAGE_STOPPED']).toContain(code);
      expect(receivers.map(({ consumer }) => consumer.consuming)).toEqual([false, false, false]);
    },
    15_000,
  );

  it('while consumers open and queues are declared ends both', async () => {
    const transport = await transports.started({ urls: [proxy.url] });
    const queue = await declared(transport);
    const opening = Promise.allSettled([
      ...Array.from({ length: 10 }, () => transport.consume({ queue, prefetch: 1, onDeliveries: () => undefined })),
      ...Array.from({ length: 10 }, () => declared(transport)),
    ]);
    await transport.stop();
    for (const outcome of await opening)
      if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'LOVAGE_STOPPED' });
    expect(await schema.sql("SELECT FROM consumers WHERE expires_at > now() + interval '31 seconds'")).toEqual([]);
  });

  it('may be followed by another start', async () => {
    const transport = await transports.started({ urls: [proxy.url] });
    const queue = await declared(transport);
    await Receiver.on(transport, queue);
    await transport.stop();
    await transport.start({ retryForMs: 0 });
    const receiver = await Receiver.on(transport, queue, { ack: true });
    await publish(transport, message(queue));
    await receiver.until(1);
    await transport.stop();
  });
});

describe('a server that crashes under consumers and publishers', () => {
  let server: Postgres;
  let other: TestSchema;
  let clients: Transports;

  beforeAll(async () => {
    server = await privateResults();
    other = new TestSchema({ url: server.url });
    await other.migrate();
    clients = new Transports(other);
  }, 60_000);
  afterAll(async () => {
    await clients.stop();
    await other.dispose();
    await server.stop();
  });

  it('loses nothing that was confirmed, delivers all of it, and is consumed again', async () => {
    const events = new RecordedEvents();
    const [sender, taker] = [await clients.started(), await clients.started({}, events)];
    const queue = await declared(sender);
    const receivers = [
      await Receiver.on(taker, queue, { ack: true, prefetch: 20 }),
      await Receiver.on(taker, queue, { ack: true, prefetch: 20 }),
    ];
    const confirmed = new Set<string>();
    let sent = 0;
    const send = async (): Promise<void> => {
      const names = Array.from({ length: 10 }, () => `${(sent += 1)}`);
      const outcomes = await sender.publish(names.map((name) => message(queue, name)));
      for (const [index, name] of names.entries()) if (outcomes[index] === null) confirmed.add(name);
    };
    for (let round = 0; round < 20; round += 1) await send();
    const sending = Promise.all(Array.from({ length: 20 }, send));
    await server.kill();
    const during = send();
    await server.start();
    await Promise.all([sending, during]);
    for (let round = 0; round < 5; round += 1) await send();
    expect(confirmed.size).toBe(sent);
    // What a lost answer left leased to nobody.
    const client = new Client({ connectionString: server.url });
    await client.connect();
    await client.query(`UPDATE "${other.name}".outbox SET due_at = now() WHERE due_at > now()`);
    await client.end();
    await until('all of them', () => {
      const names = new Set(receivers.flatMap((receiver) => receiver.names));
      return [...confirmed].every((name) => names.has(name));
    });
    await until('the queue to be empty', async () => (await other.sql('SELECT FROM outbox')).length === 0);
    await until('both to consume', () => receivers.every(({ consumer }) => consumer.consuming));
    expect(await inspectorOf(taker).depths([queue])).toEqual([{ messages: 0, consumers: 2 }]);
    expect(events.of('connection:lost').length).toBeGreaterThan(0);
    expect(events.of('connection:open').length).toBe(events.of('connection:lost').length + 1);
  }, 40_000);
});
