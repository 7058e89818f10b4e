import type { Delivery } from '@lovage/core';
import { eventually } from '../../../../test/support/eventually.js';
import { isolatedBroker } from '../../../../test/support/isolated-broker.js';
import type { IsolatedBroker } from '../../../../test/support/isolated-broker.js';
import { TcpProxy } from '../../../../test/support/tcp-proxy.js';
import { client, message, observer, queueSpec } from '../../test/support.js';
import { acceptAnyHeaders, rewriteTags } from './accept-any-headers.js';

jest.setTimeout(30_000);

let broker: IsolatedBroker;
beforeAll(async () => (broker = await isolatedBroker()));
afterAll(() => broker.drop());

/** Publishes what py-amqp would: each header whose name ends in `_L` gets the tag `L`. */
async function publishLikePython(queue: string, headers: object): Promise<void> {
  const proxy = await TcpProxy.start(broker.url);
  proxy.rewriteRequests((bytes) => {
    for (let at = bytes.indexOf('_Ll'); at !== -1; at = bytes.indexOf('_Ll', at)) bytes.write('L', at + 2);
    return bytes;
  });
  const python = await observer(proxy.url);
  python.channel.publish('', queue, Buffer.from('x'), {
    headers,
    contentType: 'application/json',
    contentEncoding: 'utf-8',
  });
  await python.channel.close();
  await python.model.close();
  await proxy.stop();
}

test("a message with the tag 'L' arrives, and the connection lives", async () => {
  const { transport, events } = client(broker.url);
  const broken: unknown[] = [];
  events.on('connection:lost', (event) => broken.push(event));
  events.on('warning', (event) => broken.push(event));
  await transport.start({ retryForMs: 5_000 });
  const spec = queueSpec({ type: 'classic' }); // a quorum queue (3.10.8) writes the headers anew, with `l`
  await transport.declare([spec]);
  const long = { '!': 'int64', value: 2 ** 40 };
  const negative = { '!': 'int64', value: -(2 ** 40) };
  await publishLikePython(spec.name, {
    text: 'L',
    n_L: long,
    list: [1, 2.5, null, true, 'L'],
    table: { deep: { m_L: negative, after: 'x' }, bytes: Buffer.from('LL'), when: { '!': 'timestamp', value: 5 } },
    last: { '!': 'decimal', value: { places: 1, digits: 15 } },
  });
  const deliveries: Delivery[] = [];
  const consumer = await transport.consume({
    queue: spec.name,
    prefetch: 10,
    onDeliveries: (batch) => void deliveries.push(...batch),
  });
  await transport.publish([message(spec.name, { correlationId: 'after' })]);
  await eventually(() => expect(deliveries).toHaveLength(2));
  expect(deliveries[0]?.message.headers).toEqual({
    text: 'L',
    n_L: 2 ** 40,
    list: [1, 2.5, null, true, 'L'],
    table: { deep: { m_L: -(2 ** 40), after: 'x' }, bytes: 'LL', when: 5 },
    last: 1.5,
  });
  expect(deliveries[1]?.message.correlationId).toBe('after');
  expect(consumer.consuming).toBe(true);
  expect(broken).toEqual([]);
  await transport.stop();
});

/** Publishes tables within tables, deeper than amqplib itself can encode: sent as bytes, of which the proxy makes a table. */
async function publishNested(queue: string, depth: number): Promise<void> {
  let table = Buffer.alloc(0);
  for (let level = 0; level < depth; level += 1) {
    const head = Buffer.from([1, 'a'.charCodeAt(0), 'F'.charCodeAt(0), 0, 0, 0, 0]);
    head.writeUInt32BE(table.length, 3);
    table = Buffer.concat([head, table]);
  }
  const proxy = await TcpProxy.start(broker.url);
  proxy.rewriteRequests((bytes) => {
    const at = bytes.indexOf('nested_Fx');
    if (at !== -1) bytes.write('F', at + 'nested_F'.length);
    return bytes;
  });
  const hostile = await observer(proxy.url);
  hostile.channel.publish('', queue, Buffer.from('x'), { headers: { nested_F: table, after: 'x' } });
  await hostile.channel.close();
  await hostile.model.close();
  await proxy.stop();
}

test.each([1_000, 5_000])('a message with headers nested %d deep arrives, and the connection lives', async (depth) => {
  const { transport, events } = client(broker.url);
  const broken: unknown[] = [];
  events.on('connection:lost', (event) => broken.push(event));
  await transport.start({ retryForMs: 5_000 });
  const spec = queueSpec();
  await transport.declare([spec]);
  await publishNested(spec.name, depth);
  await transport.publish([message(spec.name, { headers: { plain: 1 } })]);
  const deliveries: Delivery[] = [];
  await transport.consume({ queue: spec.name, prefetch: 10, onDeliveries: (batch) => void deliveries.push(...batch) });
  await eventually(() => expect(deliveries).toHaveLength(2));
  expect(deliveries[0]?.message.headers).toMatchObject({ after: 'x', nested_F: { a: { a: {} } } });
  expect(JSON.stringify(deliveries[0]?.message.headers)).toMatch(/^.{500,2000}$/);
  expect(deliveries[1]?.message.headers).toEqual({ plain: 1 });
  expect(broken).toEqual([]);
  await transport.stop();
});

test('this amqplib has what is wrapped', async () => {
  const { model } = await observer(broker.url);
  expect(acceptAnyHeaders(model.connection)).toBe(true);
  await model.close();
  expect(acceptAnyHeaders({})).toBe(false);
});

test.each([
  ['nothing', Buffer.alloc(0)],
  ['a method frame', Buffer.from([1, 0, 1, 0, 0, 0, 4, 0, 60, 0, 60, 0xce])],
  ['a header frame cut short', Buffer.from([2, 0, 1, 0, 0, 0, 40, 0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x20, 0])],
])('there is nothing to rewrite in %s', (_, bytes) => {
  expect(rewriteTags(bytes)).toBe(false);
});
