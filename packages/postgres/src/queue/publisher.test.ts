import { type Headers, type HeaderValue, type Message, type Transport } from '@lovage/core';
import { TcpProxy } from '../../../../test/support/tcp-proxy.js';
import { Receiver, Transports, codesOf, declared, inspectorOf, message, publish } from '../../test/queue-support.js';
import { TestSchema, until } from '../../test/support.js';

const schema = new TestSchema();
const transports = new Transports(schema);
let transport: Transport;
let queue: string;

beforeAll(() => schema.migrate());
beforeEach(async () => {
  transport = await transports.started();
  queue = await declared(transport, { type: 'classic', maxPriority: 5 });
});
afterEach(async () => {
  await transports.stop();
  await schema.sql('TRUNCATE outbox, queues, consumers');
});
afterAll(() => schema.dispose());

function nested(depth: number): Headers {
  let value: HeaderValue = 'deep';
  for (let level = 0; level < depth; level += 1) value = { level: value };
  return { value };
}

const circular: Record<string, unknown> = {};
circular['self'] = circular;

/** 99 good ones around the one. */
function among(bad: Message): readonly Message[] {
  const good = Array.from({ length: 99 }, (_, index) => message(queue, `${index}`));
  return [...good.slice(0, 40), bad, ...good.slice(40)];
}

const GOOD = Array.from({ length: 99 }, (_, index) => `${index}`);

describe('a message that cannot be written', () => {
  it.each<[string, Partial<Message>]>([
    ['NUL in a header', { headers: { text: 'a\0b' } }],
    ['NUL in the name of a header', { headers: { 'a\0b': 'text' } }],
    ['a lone surrogate in a header', { headers: { text: 'a\ud800b' } }],
    ['NUL in the id', { headers: { id: 'a\0b' } }],
    ['a lone surrogate in the correlation id', { correlationId: '\udfff' }],
    ['a priority that is no integer', { priority: 1.5 }],
    ['a priority beyond any integer', { priority: 1e12 }],
    ['headers without an end', { headers: circular as Headers }],
    ['headers that are no JSON', { headers: { big: 1n as unknown as number } }],
    ['headers of depth 100,000', { headers: nested(100_000) }],
  ])('%s: is refused, and harms no neighbour', async (_what, parts) => {
    const outcomes = await transport.publish(among(message(queue, 'bad', parts)));
    expect(codesOf(outcomes).filter((code) => code !== null)).toEqual(['LOVAGE_PUBLISH']);
    expect(codesOf(outcomes)[40]).toBe('LOVAGE_PUBLISH');
    const receiver = await Receiver.on(transport, queue, { ack: true });
    await receiver.until(99);
    expect(receiver.names).toEqual(GOOD);
  });

  it('harms no other call that is written with it', async () => {
    const calls = Array.from({ length: 60 }, (_, index) =>
      transport.publish([message(queue, `${index}`, index === 30 ? { headers: { text: '\0' } } : {})]),
    );
    const outcomes = (await Promise.all(calls)).flat();
    expect(codesOf(outcomes).flatMap((code, index) => (code === null ? [] : [[index, code]]))).toEqual([
      [30, 'LOVAGE_PUBLISH'],
    ]);
    expect(await inspectorOf(transport).depths([queue])).toEqual([{ messages: 59, consumers: 0 }]);
  });
});

describe('a message that is odd', () => {
  it.each<[string, Partial<Message>]>([
    ['a negative priority', { priority: -7 }],
    ['a priority over 255', { priority: 70_000 }],
    ['a body of 20 MB that is no text', { body: Buffer.alloc(20 * 2 ** 20, 0xff) }],
    ['headers of depth 2,000', { headers: nested(2_000) }],
    ['an id that is no text', { headers: { id: 7, task: ['x'] } }],
    ['an id of 255 characters', { headers: { id: '🌿'.repeat(127) } }],
    ['quotes, braces and backslashes', { headers: { id: '{"a\\",NULL}', task: 'NULL' }, correlationId: '\\"' }],
  ])('%s: arrives as it was sent', async (_what, parts) => {
    const odd = message(queue, 'odd', parts);
    await publish(transport, ...among(odd));
    const receiver = await Receiver.on(transport, queue, { ack: true });
    await receiver.until(100);
    const found = receiver.deliveries.find(({ message: { correlationId } }) => correlationId === odd.correlationId);
    expect(JSON.stringify(found?.message.headers)).toBe(JSON.stringify(odd.headers));
    expect(found?.message.priority).toBe(odd.priority);
    expect(Buffer.compare(found?.message.body ?? Buffer.alloc(0), odd.body)).toBe(0);
  });
});

describe('an outage', () => {
  let proxy: TcpProxy;

  beforeEach(async () => {
    proxy = await TcpProxy.start(schema.url);
  });
  afterEach(() => proxy.stop());

  it('that ends in time is waited for, and what waits meanwhile keeps its order', async () => {
    const peer = await transports.started({ urls: [proxy.url] });
    await publish(peer, message(queue, 'before'));
    await proxy.refuse();
    const first = peer.publish(Array.from({ length: 3 }, (_, index) => message(queue, `${index}`)));
    const second = peer.publish([message(queue, 'other')]);
    await proxy.accept();
    expect(codesOf([...(await first), ...(await second)])).toEqual([null, null, null, null]);
    const receiver = await Receiver.on(transport, queue, { ack: true });
    await receiver.until(5);
    expect(receiver.names.filter((name) => name !== 'other')).toEqual(['before', '0', '1', '2']);
  });

  it('that does not is LOVAGE_BROKER_UNAVAILABLE, of all that waits', async () => {
    const peer = await transports.started({ urls: [proxy.url], publishTimeoutMs: 400 });
    await proxy.refuse();
    const start = Date.now();
    const calls = Array.from({ length: 20 }, () => peer.publish([message(queue), message(queue)]));
    const later = new Promise<ReturnType<Transport['publish']>>((resolve) =>
      setImmediate(() => resolve(peer.publish([message(queue)]))),
    );
    const outcomes = (await Promise.all([...calls, later])).flat();
    expect(new Set(codesOf(outcomes))).toEqual(new Set(['LOVAGE_BROKER_UNAVAILABLE']));
    expect(Date.now() - start).toBeLessThan(3_000);
    await proxy.accept();
    await publish(peer, message(queue));
    expect(await inspectorOf(transport).depths([queue])).toEqual([{ messages: 1, consumers: 0 }]);
  });

  it('that is a silence is LOVAGE_BROKER_UNAVAILABLE when the time is over', async () => {
    const peer = await transports.started({ urls: [proxy.url], publishTimeoutMs: 300 });
    await publish(peer, message(queue, 'warm'));
    proxy.holdAnswers();
    const start = Date.now();
    const outcomes = await Promise.all([peer.publish([message(queue)]), peer.publish([message(queue)])]);
    expect(codesOf(outcomes.flat())).toEqual(['LOVAGE_BROKER_UNAVAILABLE', 'LOVAGE_BROKER_UNAVAILABLE']);
    expect(Date.now() - start).toBeLessThan(2_000);
    proxy.cut();
  });

  it('says nothing of the password', async () => {
    const peer = await transports.started({ urls: [proxy.url], publishTimeoutMs: 50 });
    await proxy.refuse();
    const [outcome] = await peer.publish([message(queue)]);
    expect(outcome?.code).toBe('LOVAGE_BROKER_UNAVAILABLE');
    expect(outcome?.message).toContain(`:***@${new URL(proxy.url).host}`);
    expect(outcome?.message).not.toContain(`:${new URL(schema.url).password}@`);
  });

  it('that swallows the answer leaves the message there once', async () => {
    const peer = await transports.started({ urls: [proxy.url] });
    await publish(peer, message(queue, 'warm'));
    // So that there is a connection that what is sent now can travel by.
    await Promise.all(Array.from({ length: 3 }, () => inspectorOf(peer).depths([queue])));
    proxy.holdAnswers();
    const sending = peer.publish(Array.from({ length: 10 }, (_, index) => message(queue, `${index}`)));
    await until('the rows to be written', async () => {
      const [depth] = await inspectorOf(transport).depths([queue]);
      return depth?.messages === 11;
    });
    proxy.cut();
    expect(codesOf(await sending)).toEqual(Array.from({ length: 10 }, () => null));
    expect(await inspectorOf(transport).depths([queue])).toEqual([{ messages: 11, consumers: 0 }]);
  });

  it('that swallows the answer to what is delivered meanwhile marks the copy', async () => {
    const peer = await transports.started({ urls: [proxy.url] });
    await publish(peer, message(queue, 'warm'));
    const receiver = await Receiver.on(transport, queue, { ack: true });
    await receiver.until(1);
    proxy.holdAnswers();
    const sending = peer.publish([message(queue, 'copied')]);
    await receiver.until(2);
    await until('the ack to arrive', async () => (await schema.sql('SELECT FROM outbox')).length === 0);
    proxy.cut();
    expect(codesOf(await sending)).toEqual([null]);
    await receiver.until(3);
    expect(receiver.deliveries.map((each) => [each.message.correlationId, each.message.headers])).toEqual([
      ['warm', {}],
      ['copied', {}],
      ['copied', { republished: true }],
    ]);
  });

  it('does not hold up `stop`, which ends what is being sent', async () => {
    const peer = await transports.started({ urls: [proxy.url], publishTimeoutMs: 60_000 });
    await publish(peer, message(queue, 'warm'));
    await proxy.refuse();
    const sending = Promise.all(Array.from({ length: 5 }, () => peer.publish([message(queue), message(queue)])));
    const start = Date.now();
    await peer.stop();
    expect(new Set(codesOf((await sending).flat()))).toEqual(new Set(['LOVAGE_STOPPED']));
    expect(Date.now() - start).toBeLessThan(1_500);
  });
});
