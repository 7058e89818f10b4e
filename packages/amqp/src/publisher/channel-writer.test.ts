import type { Message } from '@lovage/core';
import { type ChannelModel, type ConfirmChannel, connect } from 'amqplib';
import { isolatedBroker } from '../../../../test/support/isolated-broker.js';
import type { IsolatedBroker } from '../../../../test/support/isolated-broker.js';
import { TcpProxy } from '../../../../test/support/tcp-proxy.js';
import { message } from '../../test/support.js';
import { channelWriter } from './channel-writer.js';

let broker: IsolatedBroker;
let proxy: TcpProxy;
let model: ChannelModel;
let channel: ConfirmChannel;
let sent: Buffer[];

beforeAll(async () => {
  broker = await isolatedBroker();
  proxy = await TcpProxy.start(broker.url);
  model = await connect(proxy.url, { noDelay: true });
  channel = await model.createConfirmChannel();
  await channel.assertQueue('frames', { durable: true, arguments: { 'x-queue-type': 'quorum' } });
  proxy.rewriteRequests((chunk) => {
    sent.push(Buffer.from(chunk));
    return chunk;
  });
});
afterAll(async () => {
  await model.close();
  await proxy.stop();
  await broker.drop();
});

/** The same channel as if its frames could not be written: amqplib's own methods get past the connection that says so. */
function frontDoor(): ConfirmChannel {
  const { connection } = channel as unknown as { readonly connection: object };
  const closed: unknown = Object.create(connection, { frameMax: { get: () => '131072' } });
  return Object.create(channel, { connection: { value: closed } }) as ConfirmChannel;
}

/** The bytes that a writer sends for a message which the broker then confirms. */
async function bytesOf(of: ConfirmChannel, parts: Partial<Message>, again: boolean): Promise<Buffer> {
  sent = [];
  const writer = channelWriter(of);
  const confirmed = new Promise((resolve) => channel.once('ack', resolve));
  writer.write(message('frames', { correlationId: 'id', ...parts }), { messageId: 'lane.1', again });
  writer.flush();
  await confirmed;
  return Buffer.concat(sent);
}

const HEADERS = {
  lang: 'js',
  text: 'grün 𝄞 \ud800',
  empty: '',
  none: null,
  yes: true,
  no: false,
  ints: [0, -1, 127, 128, 32_767, 2 ** 31 - 1, -(2 ** 31), 2 ** 31, -(2 ** 53)],
  doubles: [0.5, -1e300, 2 ** 63],
  nested: { a: { b: [{ c: 1 }, [], {}] } },
  ['k'.repeat(255)]: 'long key',
  '!': 'int32',
};

test.each<[string, Partial<Message>, boolean]>([
  ['as tasks have', { headers: { lang: 'js', task: 'a', id: 'b', group: null, retries: 0 } }, false],
  ['with every type of header', { headers: HEADERS }, false],
  ['with nothing to say', { headers: {}, contentType: '', contentEncoding: '', correlationId: null }, false],
  ['with all properties', { replyTo: 'lovage_x', priority: 255 }, false],
  ['sent before', { headers: { lang: 'js' } }, true],
  ['without a body', { body: Buffer.alloc(0) }, false],
  ['with a body of several frames', { body: Buffer.alloc(300_000, 'x') }, false],
  ['with a body that fills a frame', { body: Buffer.alloc(131_072 - 8, 'x') }, false],
])('a message %s is the bytes that amqplib sends', async (_, parts, again) => {
  const own = await bytesOf(channel, parts, again);
  expect(own.length).toBeGreaterThan(0);
  expect(own.equals(await bytesOf(frontDoor(), parts, again))).toBe(true);
});

test('on a channel that is closing nothing more is sent, and the connection lives', async () => {
  const closing = await model.createConfirmChannel();
  const writer = channelWriter(closing);
  writer.write(message('frames'), { messageId: 'm', again: false });
  const closed = closing.close();
  sent = [];
  writer.flush();
  await closed;
  writer.write(message('frames'), { messageId: 'm', again: false });
  writer.flush();
  await channel.checkQueue('frames');
  expect(Buffer.concat(sent).includes('application/json')).toBe(false);
});
