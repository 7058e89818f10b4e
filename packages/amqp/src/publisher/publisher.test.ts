import { isLovageError } from '@lovage/core';
import { eventually } from '../../../../test/support/eventually.js';
import { isolatedBroker } from '../../../../test/support/isolated-broker.js';
import type { IsolatedBroker } from '../../../../test/support/isolated-broker.js';
import { TcpProxy } from '../../../../test/support/tcp-proxy.js';
import { client, drain, message, observer, queueSpec } from '../../test/support.js';
import type { Client } from '../../test/support.js';

jest.setTimeout(60_000);

let broker: IsolatedBroker;
let eyes: Awaited<ReturnType<typeof observer>>;
let proxy: TcpProxy;
let queue: string;
const clients: Client[] = [];

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
});
afterEach(async () => {
  await Promise.all(clients.splice(0).map(({ transport }) => transport.stop()));
  await proxy.stop();
});

/** A client by way of the proxy, and a queue. */
async function connected(settings: Parameters<typeof client>[1] = {}): Promise<Client> {
  const made = client(proxy.url, settings);
  clients.push(made);
  await made.transport.start({ retryForMs: 5_000 });
  const spec = queueSpec();
  queue = spec.name;
  await made.transport.declare([spec]);
  return made;
}

const waiting = async () => (await eyes.channel.checkQueue(queue)).messageCount;
const messages = (count: number) =>
  Array.from({ length: count }, (_, index) => message(queue, { correlationId: `${index}` }));

test('what was unconfirmed when the connection died is sent again, marked, and nothing is lost', async () => {
  const { transport, next } = await connected();
  proxy.holdAnswers();
  const outcomes = transport.publish(messages(200));
  await eventually(async () => expect(await waiting()).toBe(200));
  const lost = next('connection:lost');
  proxy.cut();
  await lost;
  expect(await outcomes).toEqual(new Array(200).fill(null));

  const received = await drain(eyes.channel, queue);
  const ids = Array.from({ length: 200 }, (_, index) => `${index}`);
  const idsOf = (republished: boolean) =>
    received
      .filter(({ properties }) => (properties.headers?.['republished'] === true) === republished)
      .map(({ properties }) => properties.correlationId as string);
  expect(idsOf(false)).toEqual(ids);
  expect(idsOf(true)).toEqual(ids);
});

test('what was not sent yet when the connection died is not marked', async () => {
  const { transport, next } = await connected();
  const retry = next('connection:retry');
  await proxy.refuse();
  await retry;
  const outcomes = transport.publish(messages(3));
  await proxy.accept();
  expect(await outcomes).toEqual([null, null, null]);
  const received = await drain(eyes.channel, queue);
  expect(received.map(({ properties }) => properties.headers?.['republished'])).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
});

test('a queue that is gone after a reconnection is there again before its messages are', async () => {
  const { transport, next } = await connected();
  const retry = next('connection:retry');
  await proxy.refuse();
  await retry;
  await eyes.channel.deleteQueue(queue);
  const outcomes = transport.publish(messages(1));
  await proxy.accept();
  expect(await outcomes).toEqual([null]);
  expect(await drain(eyes.channel, queue)).toHaveLength(1);
});

test('without a broker a publish fails when its time is up', async () => {
  const { transport, next } = await connected({ publishTimeoutMs: 1_500 });
  const lost = next('connection:lost');
  await proxy.refuse();
  await lost;
  const outcomes = await transport.publish(messages(2));
  expect(outcomes.every((outcome) => isLovageError(outcome, 'LOVAGE_BROKER_UNAVAILABLE'))).toBe(true);
  const opened = next('connection:open');
  await proxy.accept();
  await opened;
  expect(await transport.publish(messages(1))).toEqual([null]);
  expect(await drain(eyes.channel, queue)).toHaveLength(1); // the two were given up
});

test('at most a window of messages is unconfirmed, all calls together', async () => {
  const { transport } = await connected({ confirmWindow: 10 });
  proxy.holdAnswers();
  const many = transport.publish(messages(100));
  const lone = transport.publish(messages(1));
  await eventually(async () => expect(await waiting()).toBe(10));
  for (let round = 0; round < 5; round++) expect(await waiting()).toBe(10);
  proxy.releaseAnswers();
  expect(await lone).toEqual([null]);
  expect(await many).toEqual(new Array(100).fill(null));
});

test('a lone publish does not wait behind a large one', async () => {
  const { transport } = await connected({ confirmWindow: 10 });
  const order: string[] = [];
  const many = transport.publish(messages(5_000)).then(() => order.push('many'));
  const lone = transport.publish(messages(1)).then(() => order.push('lone'));
  await Promise.all([many, lone]);
  expect(order).toEqual(['lone', 'many']);
});

test('while the broker is blocked, publishes wait', async () => {
  const { transport, next } = await connected();
  const blocked = next('connection:blocked');
  proxy.inject(BLOCKED);
  expect(await blocked).toEqual({ target: 'broker', reason: 'memory' });
  const outcomes = transport.publish(messages(1));
  for (let round = 0; round < 5; round++) expect(await waiting()).toBe(0);
  const unblocked = next('connection:unblocked');
  proxy.inject(UNBLOCKED);
  await unblocked;
  expect(await outcomes).toEqual([null]);
});

test('a message that the broker closes the channel for is found, and takes no neighbour with it', async () => {
  const { transport } = await connected();
  const tooLarge = message(queue, { body: Buffer.alloc(2 ** 27 + 1) }); // RabbitMQ 3.8 to 3.13 take 128 MiB, 4 takes 16
  const outcomes = await transport.publish([...messages(5), tooLarge, ...messages(5)]);
  expect(outcomes.map((outcome) => outcome?.code ?? null)).toEqual([
    ...new Array<null>(5).fill(null),
    'LOVAGE_PUBLISH',
    ...new Array<null>(5).fill(null),
  ]);
  expect(outcomes[5]?.message).toMatch(/larger than/);
  const received = await drain(eyes.channel, queue);
  expect(new Set(received.map(({ properties }) => properties.correlationId as string)).size).toBe(5);
});

test('after a refusal the next channel is used, and nothing that was on its way is lost', async () => {
  const { transport } = await connected();
  const full = `full-${queue}`;
  await eyes.channel.assertQueue(full, { arguments: { 'x-max-length': 1, 'x-overflow': 'reject-publish' } });
  const opened = Buffer.from([0, 20, 0, 10]); // class channel, method open
  let channels = 0;
  proxy.rewriteRequests((chunk) => {
    if (chunk.includes(opened)) channels += 1;
    return chunk;
  });
  await eventually(async () => {
    const outcomes = await transport.publish([message(full), message(full), message(full), ...messages(20)]);
    expect(outcomes.slice(3)).toEqual(new Array(20).fill(null));
    expect(outcomes[2]?.code).toBe('LOVAGE_PUBLISH');
    expect(channels).toBe(1);
  });
  expect(await transport.publish(messages(1))).toEqual([null]);
});

test('a message that cannot be encoded, or would be sent elsewhere, fails alone', async () => {
  const { transport } = await connected();
  const outcomes = await transport.publish([
    ...messages(1),
    message(queue, { priority: 256 }),
    message('q'.repeat(256)),
    message(queue, { headers: { big: 'x'.repeat(70_000) } }),
    message(queue, { headers: { CC: [queue] } }),
    message(queue, { headers: { list: [Number.NaN] } }),
    message(queue, { headers: { deep: { n: -Infinity } } }),
    ...messages(1),
  ]);
  const refused = 'LOVAGE_PUBLISH';
  expect(outcomes.map((outcome) => outcome?.code ?? null)).toEqual([null, ...new Array<string>(6).fill(refused), null]);
  expect(await drain(eyes.channel, queue)).toHaveLength(2);
});

test('messages are persistent, mandatory in effect, and their integers say their width', async () => {
  const { transport } = await connected();
  const bytes: Buffer[] = [];
  proxy.rewriteRequests((chunk) => {
    bytes.push(Buffer.from(chunk));
    return chunk;
  });
  const headers = { i16: 200, list: [300], deep: { n: 400 }, i64: 2 ** 33 };
  await transport.publish([message(queue, { headers })]);
  const wire = Buffer.concat(bytes);
  expect(wire.includes(tagged('i16', 'I'))).toBe(true);
  expect(wire.includes(tagged('n', 'I'))).toBe(true);
  expect(wire.includes(tagged('i64', 'l'))).toBe(true);
  const [received] = await drain(eyes.channel, queue);
  expect(received?.properties.deliveryMode).toBe(2);
  expect(received?.properties.expiration).toBeUndefined();
  expect(received?.properties.headers).toMatchObject(headers);
});

/** A table's key and the tag of its value. */
function tagged(key: string, tag: string): Buffer {
  return Buffer.concat([Buffer.from([key.length]), Buffer.from(key + tag)]);
}

/** A method frame of channel 0 of class connection. */
function connectionFrame(method: number, fields: Buffer): Buffer {
  const payload = Buffer.concat([Buffer.from([0, 10, 0, method]), fields]);
  const head = Buffer.from([1, 0, 0, 0, 0, 0, payload.length]);
  return Buffer.concat([head, payload, Buffer.from([0xce])]);
}

const BLOCKED = connectionFrame(60, Buffer.concat([Buffer.from([6]), Buffer.from('memory')]));
const UNBLOCKED = connectionFrame(61, Buffer.alloc(0));
