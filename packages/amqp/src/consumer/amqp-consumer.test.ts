import type { Consumer, Delivery } from '@lovage/core';
import { isLovageError } from '@lovage/core';
import { eventually } from '../../../../test/support/eventually.js';
import { isolatedBroker } from '../../../../test/support/isolated-broker.js';
import type { IsolatedBroker } from '../../../../test/support/isolated-broker.js';
import { TcpProxy } from '../../../../test/support/tcp-proxy.js';
import { client, message, observer, queueSpec } from '../../test/support.js';
import type { Client } from '../../test/support.js';

jest.setTimeout(60_000);

let broker: IsolatedBroker;
let eyes: Awaited<ReturnType<typeof observer>>;
let proxy: TcpProxy;
let subject: Client;
let queue: string;

beforeAll(async () => {
  broker = await isolatedBroker();
  eyes = await observer(broker.url);
});
afterAll(async () => {
  await eyes.model.close();
  await broker.drop();
});
beforeEach(async () => {
  proxy = await TcpProxy.start(broker.url);
  subject = client(proxy.url);
  await subject.transport.start({ retryForMs: 5_000 });
  const spec = queueSpec();
  queue = spec.name;
  await subject.transport.declare([spec]);
});
afterEach(async () => {
  await subject.transport.stop();
  await proxy.stop();
});

interface Received {
  readonly consumer: Consumer;
  readonly deliveries: Delivery[];
}

async function consume(prefetch = 100): Promise<Received> {
  const deliveries: Delivery[] = [];
  const consumer = await subject.transport.consume({
    queue,
    prefetch,
    onDeliveries: (batch) => void deliveries.push(...batch),
  });
  return { consumer, deliveries };
}

async function publish(...ids: readonly string[]): Promise<void> {
  await subject.transport.publish(ids.map((correlationId) => message(queue, { correlationId })));
}

/** Makes every basic.ack name this delivery tag. */
function acknowledgingTag(tag: bigint): (bytes: Buffer) => Buffer {
  const method = Buffer.from([0, 60, 0, 80]); // class basic, method ack
  return (bytes) => {
    const at = bytes.indexOf(method);
    if (at !== -1) bytes.writeBigUInt64BE(tag, at + method.length);
    return bytes;
  };
}

/** Keeps the broker from answering a method that names this queue: it sets the method's bit `no-wait`. */
function unanswered(method: readonly [classId: number, methodId: number], bit: number): (bytes: Buffer) => Buffer {
  const head = Buffer.from([0, method[0], 0, method[1], 0, 0]); // and the ticket
  return (bytes) => {
    const at = bytes.indexOf(head);
    if (at === -1) return bytes;
    let offset = at + head.length;
    // basic.consume has the consumer's tag after the queue.
    for (let strings = method[0] === BASIC ? 2 : 1; strings > 0; strings--) offset += 1 + bytes.readUInt8(offset);
    bytes.writeUInt8(bytes.readUInt8(offset) | bit, offset);
    return bytes;
  };
}

const BASIC = 60;
const CONSUME_UNANSWERED = unanswered([BASIC, 20], 0b1000);
const DECLARE_UNANSWERED = unanswered([50, 10], 0b10000);

const idsOf = (deliveries: readonly Delivery[]) => deliveries.map((delivery) => delivery.message.correlationId);

test('a consumer returns after its connection was cut; what it settles then passes over what it had before', async () => {
  const { consumer, deliveries } = await consume();
  await publish('a', 'b', 'c');
  await eventually(() => expect(deliveries).toHaveLength(3));
  await proxy.refuse();
  await eventually(() => expect(consumer.consuming).toBe(false));
  consumer.ack(deliveries); // no channel: nothing
  await proxy.accept();
  await eventually(() => expect(deliveries).toHaveLength(6));
  expect(consumer.consuming).toBe(true);
  const [before, after] = [deliveries.slice(0, 3), deliveries.slice(3)];
  expect(new Set(idsOf(after))).toEqual(new Set(['a', 'b', 'c']));
  expect(after.every(({ redelivered }) => redelivered)).toBe(true);

  consumer.ack(before.slice(0, 1)); // tag 1 of a channel that has gone
  consumer.requeue(before.slice(1));
  consumer.ack(after.slice(1));
  await consumer.close();
  const next = await consume();
  await eventually(() => expect(next.deliveries).toHaveLength(1));
  expect(idsOf(next.deliveries)).toEqual(idsOf(after.slice(0, 1)));
  expect((await eyes.channel.checkQueue(queue)).messageCount).toBe(0);
});

test('a queue deleted under its consumer is declared and consumed again', async () => {
  const { consumer, deliveries } = await consume();
  const warning = subject.next('warning');
  await eyes.channel.deleteQueue(queue);
  expect((await warning).message).toContain(queue);
  await eventually(() => expect(consumer.consuming).toBe(true));
  await publish('later');
  await eventually(() => expect(idsOf(deliveries)).toEqual(['later']));
});

test('a queue that goes without a word is missed all the same', async () => {
  await subject.transport.stop();
  subject = client(proxy.url, { heartbeatMs: 1_000 });
  // Then the broker does not say so.
  proxy.rewriteRequests((bytes) => {
    const at = bytes.indexOf('consumer_cancel_notify');
    if (at !== -1) bytes.write('consumer_cancel_ignore', at);
    return bytes;
  });
  await subject.transport.start({ retryForMs: 5_000 });
  await subject.transport.declare([queueSpec({ name: queue })]);
  const { consumer, deliveries } = await consume();
  await publish('before');
  await eventually(() => expect(idsOf(deliveries)).toEqual(['before']));
  const warning = subject.next('warning');
  await eyes.channel.deleteQueue(queue);
  consumer.ack(deliveries);
  expect((await warning).message).toContain('NOT_FOUND');
  await eventually(() => expect(consumer.consuming).toBe(true));
  await publish('after');
  await eventually(() => expect(idsOf(deliveries)).toEqual(['before', 'after']));
});

test('a consumer that nothing comes to begins anew, once all is settled, and keeps its prefetch', async () => {
  await subject.transport.stop();
  subject = client(proxy.url, { heartbeatMs: 1_000 });
  await subject.transport.start({ retryForMs: 5_000 });
  let renewals = 0;
  proxy.rewriteRequests((bytes) => {
    if (bytes.includes(Buffer.from([0, 60, 0, 20]))) renewals += 1; // class basic, method consume
    return bytes;
  });
  const { consumer, deliveries } = await consume(3);
  await publish('a');
  await eventually(() => expect(deliveries).toHaveLength(1));
  consumer.ack(deliveries);
  await eventually(() => expect(renewals).toBe(3)); // the first one, and two more
  // Answered after all that was asked before on this channel.
  await consumer.resize(4);
  await publish('b', 'c', 'd', 'e', 'f', 'g');
  await eventually(() => expect(deliveries).toHaveLength(5));
  expect((await eyes.channel.checkQueue(queue)).messageCount).toBe(2);
});

test('a channel that the broker closes is replaced', async () => {
  const deliveries: Delivery[] = [];
  const onLost = jest.fn();
  const onDeliveries = (batch: readonly Delivery[]) => void deliveries.push(...batch);
  const consumer = await subject.transport.consume({ queue, prefetch: 100, onDeliveries, onLost });
  await publish('a');
  await eventually(() => expect(deliveries).toHaveLength(1));
  const warning = subject.next('warning');
  proxy.rewriteRequests(acknowledgingTag(99n));
  consumer.ack(deliveries);
  expect((await warning).message).toMatch(/unknown delivery tag/);
  expect(onLost).toHaveBeenCalledTimes(1);
  proxy.rewriteRequests((bytes) => bytes);
  await eventually(() => expect(deliveries).toHaveLength(2));
  expect(deliveries[1]?.redelivered).toBe(true);
  consumer.ack(deliveries);
  await consumer.close();
  expect((await eyes.channel.checkQueue(queue)).messageCount).toBe(0);
});

test('a consumer that the broker never answers is tried on another channel, and said to be', async () => {
  const impatient = client(proxy.url, { connectTimeoutMs: 300 });
  await impatient.transport.start({ retryForMs: 5_000 });
  proxy.rewriteRequests(CONSUME_UNANSWERED);
  const deliveries: Delivery[] = [];
  const warned = [impatient.next('warning'), impatient.next('warning')];
  const consuming = impatient.transport.consume({
    queue,
    prefetch: 10,
    onDeliveries: (batch) => void deliveries.push(...batch),
  });
  for (const { message: text } of await Promise.all(warned))
    expect(text).toMatch(/did not answer to a consumer .* 300 ms/);
  proxy.rewriteRequests((bytes) => bytes);
  const consumer = await consuming;
  await publish('later');
  await eventually(() => expect(idsOf(deliveries)).toEqual(['later']));
  consumer.ack(deliveries);
  await impatient.transport.stop();
  expect((await eyes.channel.checkQueue(queue)).messageCount).toBe(0);
});

test('a queue whose declaration is not answered after a reconnection holds up no other', async () => {
  const other = queueSpec();
  await subject.transport.declare([other]);
  const lost = subject.next('connection:lost');
  await proxy.refuse();
  await lost;
  proxy.rewriteRequests(DECLARE_UNANSWERED);
  await proxy.accept();
  expect(await subject.transport.publish([message(queue), message(other.name)])).toEqual([null, null]);
  proxy.rewriteRequests((bytes) => bytes);
});

test('a link that goes silent is found by its heartbeat; the consumer is back once it is', async () => {
  const watchful = client(proxy.url, { heartbeatMs: 3_000, connectTimeoutMs: 1_000 });
  await watchful.transport.start({ retryForMs: 5_000 });
  const deliveries: Delivery[] = [];
  const onLost = jest.fn();
  const onDeliveries = (batch: readonly Delivery[]) => void deliveries.push(...batch);
  const consumer = await watchful.transport.consume({ queue, prefetch: 100, onDeliveries, onLost });
  await publish('a');
  await eventually(() => expect(deliveries).toHaveLength(1));
  const lost = Promise.all(
    (['publish', 'consume'] as const).map((role) => watchful.next('connection:lost', (event) => event.role === role)),
  );
  proxy.stall();
  for (const { error } of await lost) expect(error.message).toMatch(/Heartbeat timeout/);
  expect(consumer.consuming).toBe(false);
  expect(onLost).toHaveBeenCalledTimes(1);
  proxy.resume();
  await eventually(() => expect(deliveries).toHaveLength(2), { timeoutMs: 10_000 });
  expect(deliveries[1]?.redelivered).toBe(true);
  await watchful.transport.stop();
});

test('a consumer that cannot be restored goes on trying, and says so', async () => {
  const theirs = queueSpec({ type: 'classic' });
  await eyes.channel.assertQueue(theirs.name, { durable: true });
  await subject.transport.declare([{ ...theirs, declare: false }]);
  queue = theirs.name;
  const { consumer, deliveries } = await consume();
  const missing = subject.next('warning', ({ message: text }) => text.includes('there is no queue'));
  await eyes.channel.deleteQueue(queue);
  await missing;
  expect(consumer.consuming).toBe(false);
  await eyes.channel.assertQueue(queue, { durable: true });
  await eventually(() => expect(consumer.consuming).toBe(true), { timeoutMs: 20_000 });
  await publish('back');
  await eventually(() => expect(idsOf(deliveries)).toEqual(['back']));
});

test('cancelled while its connection is away, it stays away', async () => {
  const { consumer } = await consume();
  const lost = subject.next('connection:lost');
  await proxy.refuse();
  await lost;
  await consumer.cancel();
  const opened = subject.next('connection:open');
  await proxy.accept();
  await opened;
  await consumer.close();
  expect(consumer.consuming).toBe(false);
  await subject.transport.publish([message(queue)]);
  expect((await eyes.channel.checkQueue(queue)).consumerCount).toBe(0);
});

test('a receiver that throws is a warning, and its deliveries stay unsettled', async () => {
  const warning = subject.next('warning');
  const consumer = await subject.transport.consume({
    queue,
    prefetch: 1,
    onDeliveries: () => {
      throw new RangeError('not today');
    },
  });
  await publish('a');
  expect((await warning).message).toContain('not today');
  expect(consumer.consuming).toBe(true);
  await consumer.close();
  await eventually(async () => expect((await eyes.channel.checkQueue(queue)).messageCount).toBe(1));
});

test.each([0, -1, 1.5, 65_536, Number.NaN])('a prefetch of %p is refused', async (prefetch) => {
  const { consumer } = await consume();
  for (const refused of [consume(prefetch), consumer.resize(prefetch)]) {
    const error = await refused.catch((thrown: unknown) => thrown);
    expect(isLovageError(error, 'LOVAGE_USAGE')).toBe(true);
  }
});

const consumersOf = async (name: string) => (await eyes.channel.checkQueue(name)).consumerCount;

test('a changed prefetch is that of the next connection too, whenever it was changed', async () => {
  const { consumer, deliveries } = await consume(2);
  await publish(...Array.from({ length: 50 }, (_, index) => `${index}`));
  await consumer.resize(8);
  await eventually(() => expect(deliveries).toHaveLength(8));
  await proxy.refuse();
  await eventually(() => expect(consumer.consuming).toBe(false));
  await proxy.accept();
  await eventually(() => expect(deliveries).toHaveLength(16));
  await eventually(async () => expect(await consumersOf(queue)).toBe(2));

  // While the broker is asked for more, and while it is away.
  const asked = consumer.resize(10);
  await proxy.refuse();
  await asked;
  await consumer.resize(20);
  deliveries.length = 0;
  await proxy.accept();
  await eventually(() => expect(deliveries.length).toBeGreaterThanOrEqual(20));
  await consumer.resize(2);
  // What the connection before had held is the broker's.
  expect(consumer.beyond(deliveries.slice(-20))).toHaveLength(18);
  await consumer.close();
  await eventually(async () => expect(await consumersOf(queue)).toBe(0));
  expect((await eyes.channel.checkQueue(queue)).messageCount).toBe(50);
});

test('a queue that goes with its last consumer outlives a change of the prefetch', async () => {
  const theirs = queueSpec({ type: 'classic', declare: false });
  await eyes.channel.assertQueue(theirs.name, { autoDelete: true });
  await subject.transport.declare([theirs]);
  queue = theirs.name;
  const { consumer, deliveries } = await consume(10);
  for (const prefetch of [2, 20, 1]) await consumer.resize(prefetch);
  await publish('a');
  await eventually(() => expect(idsOf(deliveries)).toEqual(['a']));
  expect(await consumersOf(queue)).toBe(1);
});

test('headers of other clients arrive as ours', async () => {
  const { deliveries } = await consume();
  eyes.channel.publish('', queue, Buffer.from('x'), {
    headers: {
      bytes: Buffer.from('ünïcode'),
      binary: Buffer.from([0xff, 0xfe]),
      when: { '!': 'timestamp', value: 1_700_000_000 },
      price: { '!': 'decimal', value: { places: 2, digits: 1999 } },
      float: { '!': 'float', value: 0.5 },
      list: [Buffer.from('a'), { '!': 'timestamp', value: 1 }],
      CC: ['nowhere'],
    },
    timestamp: 1_700_000_000,
    type: 'other',
  });
  await eventually(() => expect(deliveries).toHaveLength(1));
  expect(deliveries[0]?.message.headers).toEqual({
    bytes: 'ünïcode',
    binary: '//4=',
    when: 1_700_000_000,
    price: 19.99,
    float: 0.5,
    list: ['a', 1],
  });
});
