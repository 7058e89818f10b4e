/// <reference types="jest" />
import { createSecretKey } from 'node:crypto';
import {
  type Consumer,
  type Delivery,
  type LovageError,
  type Message,
  MessageSigner,
  type QueueDepth,
  type QueueInspector,
  type QueueSpec,
  type Transport,
  deadQueueOf,
  isLovageError,
  lostQueueOf,
  systemRuntime,
} from '@lovage/core';
import { DEADLINE_MS, eventually } from './eventually.js';

/** One broker. */
export interface TransportFixture {
  /** Makes a transport to it that is not started yet; each time another one, as another process would have. */
  readonly connect: () => Transport;
  /** Removes what the tests left behind: all queues they may have made. Called after the transports have been stopped. */
  readonly dispose?: (queues: readonly string[]) => Promise<void>;
}

export type TransportFactory = () => TransportFixture | Promise<TransportFixture>;

export interface TransportConformanceOptions {
  /** Title of a test → why this transport cannot pass it. A title that no test has is an error. */
  readonly skip?: Readonly<Record<string, string>>;
}

/**
 * Declares (with Jest's globals) the tests that every Transport must pass: each promise of the interface's docstrings.
 * What happens when a connection is lost is each driver's own to test.
 *
 * @example
 * describeTransport('memory', () => ({ connect: () => new MemoryTransport('memory://a') }));
 */
export function describeTransport(
  name: string,
  factory: TransportFactory,
  options: TransportConformanceOptions = {},
): void {
  const skip = new Map(Object.entries(options.skip ?? {}));

  describe(`Transport: ${name}`, () => {
    let fixture: TransportFixture;
    let transport: Transport;
    const transports: Transport[] = [];
    const queues: string[] = [];

    /** A second process. */
    async function another(): Promise<Transport> {
      const made = fixture.connect();
      transports.push(made);
      await made.start({ retryForMs: DEADLINE_MS });
      return made;
    }

    /** The specification of a queue that does not exist yet. */
    function fresh(spec: Partial<QueueSpec> = {}): QueueSpec {
      const queue = `conformance-${systemRuntime.uuid()}`;
      queues.push(queue, lostQueueOf(queue), deadQueueOf(queue));
      return { name: queue, type: 'quorum', maxPriority: null, declare: true, ...spec };
    }

    async function declared(spec: Partial<QueueSpec> = {}): Promise<string> {
      const queue = fresh(spec);
      await transport.declare([queue]);
      return queue.name;
    }

    async function publish(...messages: readonly Message[]): Promise<void> {
      expect(await transport.publish(messages)).toEqual(messages.map(() => null));
    }

    function inspector(): QueueInspector {
      const { inspect } = transport.capabilities;
      expect(inspect).toBeDefined();
      return inspect as QueueInspector;
    }

    beforeEach(async () => {
      fixture = await factory();
      transport = await another();
    });

    afterEach(async () => {
      await Promise.all(transports.splice(0).map((each) => each.stop()));
      await fixture.dispose?.(queues.splice(0));
    });

    function test(title: string, body: () => Promise<void>): void {
      const reason = skip.get(title);
      skip.delete(title);
      if (reason === undefined) it(title, body, 3 * DEADLINE_MS);
      else it.skip(`${title} (${reason})`, body);
    }

    describe('declare', () => {
      test('makes a quorum queue with its .lost and its .dead', async () => {
        const queue = await declared();
        const depths = await inspector().depths([queue, lostQueueOf(queue), deadQueueOf(queue)]);
        expect(depths).toEqual([EMPTY, EMPTY, EMPTY]);
      });

      test('makes a classic queue with its .dead only', async () => {
        const queue = await declared({ type: 'classic', maxPriority: 5 });
        const depths = await inspector().depths([queue, lostQueueOf(queue), deadQueueOf(queue)]);
        expect(depths).toEqual([EMPTY, null, EMPTY]);
      });

      test('may be repeated, at the same time and by others', async () => {
        const spec = fresh();
        const peer = await another();
        await Promise.all([transport.declare([spec]), transport.declare([spec, spec]), peer.declare([spec])]);
        await transport.declare([spec]);
      });

      test('refuses other arguments and harms nobody', async () => {
        const queue = await declared();
        const received = await consume(transport, queue);
        const others = fresh({ name: queue, type: 'classic' });
        const peer = await another();
        await expectCode(peer.declare([others]), 'LOVAGE_QUEUE_MISMATCH');
        await expectCode(transport.declare([others]), 'LOVAGE_QUEUE_MISMATCH');
        await publish(message(queue));
        await received.until(1);
        expect(received.consumer.consuming).toBe(true);
      });

      test('fails for one queue without failing another that is declared at the same time', async () => {
        const bad = await declared();
        const good = fresh();
        const both = transport.declare([good, fresh({ name: bad, type: 'classic' })]);
        const [, alone] = await Promise.allSettled([both, transport.declare([good])]);
        await expectCode(both, 'LOVAGE_QUEUE_MISMATCH');
        expect(alone.status).toBe('fulfilled');
      });

      test('takes a queue of somebody else as it is', async () => {
        const spec = fresh({ type: 'classic', maxPriority: 3 });
        const owner = await another();
        await owner.declare([spec]);
        await transport.declare([{ ...spec, type: 'quorum', maxPriority: null, declare: false }]);
        await publish(message(spec.name));
      });

      test('misses a queue of somebody else that does not exist', async () => {
        const spec = fresh({ declare: false });
        await expectCode(transport.declare([spec]), 'LOVAGE_UNROUTABLE');
        expect(await inspector().depths([spec.name])).toEqual([null]);
      });
    });

    describe('publish', () => {
      test('of nothing is nothing', async () => {
        expect(await transport.publish([])).toEqual([]);
      });

      test('answers for each message, in order', async () => {
        const [one, two, nowhere] = [await declared(), await declared(), fresh().name];
        const outcomes = await transport.publish([one, nowhere, two, nowhere].map((queue) => message(queue)));
        expect(outcomes.map(codeOf)).toEqual([null, 'LOVAGE_UNROUTABLE', null, 'LOVAGE_UNROUTABLE']);
        expect(outcomes[1]?.message).toContain(nowhere);
        await eventually(() => inspector().depths([one, two]), [HOLDS_ONE, HOLDS_ONE]);
      });

      test('tells copies of one message apart by their queues', async () => {
        const [queue, nowhere] = [await declared(), fresh().name];
        const copies = Array.from({ length: 40 }, (_, index) => message(index % 2 === 0 ? queue : nowhere));
        const outcomes = await Promise.all(copies.map((copy) => transport.publish([copy])));
        expect(outcomes.map(([outcome]) => codeOf(outcome))).toEqual(
          copies.map((copy) => (copy.queue === queue ? null : 'LOVAGE_UNROUTABLE')),
        );
      });

      test('carries every part of a message, and changes nothing of it', async () => {
        const queue = await declared();
        const sent = message(queue, {
          headers: HEADERS,
          contentType: 'application/json',
          contentEncoding: 'utf-8',
          correlationId: 'ünïcode-🌿',
          replyTo: 'listener-1',
          body: Uint8Array.from({ length: 256 }, (_, byte) => byte),
        });
        const before = structuredClone(sent);
        await publish(sent);
        expect(structuredClone(sent)).toEqual(before);
        const [delivery] = await (await consume(transport, queue)).until(1);
        expect(plain(delivery)).toEqual({ ...plain({ message: before }), redelivered: false });
      });

      test('carries a message so that its signature holds', async () => {
        const queue = await declared();
        const keys = { test: createSecretKey(Buffer.alloc(32, 7)) };
        const signer = new MessageSigner({ keys, signWith: 'test', required: true });
        const headers = { ...HEADERS, zero: -0, integer: 2 ** 31, fraction: 0.1, tiny: 5e-324 };
        await publish(signer.sign(message(queue, { headers, replyTo: 'listener-1', contentType: 'application/json' })));
        const [delivery] = await (await consume(transport, queue)).until(1);
        expect(signer.refusalOf(delivery?.message as Message)).toBeNull();
      });

      test('carries a message that has no properties and no body', async () => {
        const queue = await declared();
        const bare = message(queue, { correlationId: null, body: new Uint8Array(0) });
        await publish(bare);
        const [delivery] = await (await consume(transport, queue)).until(1);
        expect(plain(delivery)).toEqual(plain({ message: bare, redelivered: false }));
      });

      test('carries a priority', async () => {
        const queue = await declared({ type: 'classic', maxPriority: 9 });
        await publish(message(queue, { priority: 0 }), message(queue, { priority: 7 }));
        const received = await (await consume(transport, queue)).until(2);
        expect(received.map((delivery) => delivery.message.priority).sort()).toEqual([0, 7]);
      });

      test('carries a body of a megabyte', async () => {
        const queue = await declared();
        const body = Uint8Array.from({ length: 2 ** 20 }, (_, index) => index % 251);
        await publish(message(queue, { body }));
        const [delivery] = await (await consume(transport, queue)).until(1);
        expect(Buffer.compare(delivery?.message.body as Uint8Array, body)).toBe(0);
      });

      test('keeps the order of one call', async () => {
        const queue = await declared();
        const ids = Array.from({ length: 3_000 }, (_, index) => `${index}`);
        await publish(...ids.map((correlationId) => message(queue, { correlationId })));
        const received = await (await consume(transport, queue, { prefetch: 500, ack: true })).until(ids.length);
        expect(received.map((delivery) => delivery.message.correlationId)).toEqual(ids);
      });

      test('serves many callers at once', async () => {
        const queue = await declared();
        const outcomes = await Promise.all(Array.from({ length: 500 }, () => transport.publish([message(queue)])));
        expect(outcomes.flat().every((outcome) => outcome === null)).toBe(true);
        await eventually(() => inspector().depths([queue]), [{ messages: 500, consumers: 0 }]);
      });
    });

    describe('consume', () => {
      test('misses a queue that does not exist, and harms no other consumer', async () => {
        const queue = await declared();
        const received = await consume(transport, queue);
        await expectCode(consume(transport, fresh().name), 'LOVAGE_UNROUTABLE');
        await publish(message(queue));
        await received.until(1);
        expect(received.consumer.consuming).toBe(true);
      });

      test('hands over nothing before it has resolved, and never an empty batch', async () => {
        const queue = await declared();
        await publish(...Array.from({ length: 20 }, () => message(queue)));
        let consumer: Consumer | null = null;
        const sizes: number[] = [];
        let early = false;
        let done!: () => void;
        const all = new Promise<void>((resolve) => (done = resolve));
        consumer = await transport.consume({
          queue,
          prefetch: 100,
          onDeliveries: (deliveries) => {
            early ||= consumer === null;
            sizes.push(deliveries.length);
            if (sum(sizes) === 20) done();
          },
        });
        await all;
        expect(early).toBe(false);
        expect(sizes).not.toContain(0);
      });

      test('leaves at most `prefetch` unsettled', async () => {
        const queue = await declared();
        await publish(...Array.from({ length: 100 }, () => message(queue)));
        let unsettled = 0;
        let most = 0;
        let total = 0;
        let done!: () => void;
        const all = new Promise<void>((resolve) => (done = resolve));
        const consumer: Consumer = await transport.consume({
          queue,
          prefetch: 3,
          onDeliveries: (deliveries) => {
            unsettled += deliveries.length;
            most = Math.max(most, unsettled);
            setImmediate(() => {
              unsettled -= deliveries.length;
              total += deliveries.length;
              consumer.ack(deliveries);
              if (total === 100) done();
            });
          },
        });
        await all;
        expect(most).toBe(3);
      });

      test('shares a queue among its consumers, each message once', async () => {
        const queue = await declared();
        const peer = await another();
        const receivers = [await consume(transport, queue, { ack: true }), await consume(peer, queue, { ack: true })];
        const ids = Array.from({ length: 200 }, (_, index) => `${index}`);
        await publish(...ids.map((correlationId) => message(queue, { correlationId })));
        await eventually(async () => sum(receivers.map(({ deliveries }) => deliveries.length)), 200);
        const seen = receivers.flatMap(({ deliveries }) => deliveries.map((each) => each.message.correlationId));
        expect(new Set(seen)).toEqual(new Set(ids));
      });
    });

    describe('resize', () => {
      const ready = async (queue: string) => (await inspector().depths([queue]))[0]?.messages;
      const ids = Array.from({ length: 100 }, (_, index) => `${index}`);
      const publishAll = (queue: string) => publish(...ids.map((correlationId) => message(queue, { correlationId })));
      const order = (deliveries: readonly Delivery[]) => deliveries.map((each) => each.message.correlationId);

      test('lets more come, in order, and as much again once that is settled', async () => {
        const queue = await declared();
        await publishAll(queue);
        const { consumer, deliveries, until } = await consume(transport, queue, { prefetch: 3 });
        await until(3);
        for (const prefetch of [5, 10, 40]) {
          await consumer.resize(prefetch);
          await until(prefetch);
          await eventually(() => ready(queue), 100 - prefetch);
        }
        consumer.ack(deliveries);
        await until(80);
        await eventually(() => ready(queue), 20);
        expect(order(deliveries)).toEqual(ids.slice(0, 80));
      });

      test('lets less come once what was held is settled', async () => {
        const queue = await declared();
        await publishAll(queue);
        const { consumer, deliveries, until } = await consume(transport, queue, { prefetch: 10 });
        await consumer.resize(30);
        await until(30);
        await consumer.resize(10);
        consumer.ack(deliveries);
        await until(40);
        await eventually(() => ready(queue), 60);
        // Less than it began with.
        await consumer.resize(2);
        consumer.ack(deliveries.slice(30, 40));
        for (let settled = 40; settled < 60; settled += 2) {
          await until(settled + 2);
          consumer.ack(deliveries.slice(settled, settled + 2));
        }
        await until(62);
        await eventually(() => ready(queue), 38);
      });

      test('what is beyond it goes to others, and comes back no more', async () => {
        const queue = await declared();
        await publishAll(queue);
        const { consumer, deliveries, until } = await consume(transport, queue, { prefetch: 5 });
        await consumer.resize(100);
        const all = await until(100);
        expect(consumer.beyond(all)).toEqual([]);
        await consumer.resize(5);
        const beyond = consumer.beyond(all);
        expect(order(beyond)).toEqual(ids.slice(5));
        consumer.requeue(beyond);
        expect(consumer.beyond(all.slice(0, 5))).toEqual([]);
        await eventually(() => ready(queue), 95);
        const others = await (await consume(await another(), queue)).until(95);
        expect(new Set(order(others))).toEqual(new Set(ids.slice(5)));
        expect(others.every(({ redelivered }) => redelivered)).toBe(true);
        expect(deliveries).toHaveLength(100);
        expect(consumer.consuming).toBe(true);
      });

      test('loses nothing and doubles nothing, however often it is called', async () => {
        const queue = await declared();
        const many = Array.from({ length: 1_000 }, (_, index) => message(queue, { correlationId: `${index}` }));
        const { consumer, deliveries } = await consume(transport, queue, { prefetch: 10, ack: true });
        const publishing = publish(...many);
        const seen = () => new Set(order(deliveries)).size;
        const sizes = [20, 200, 30, 1, 2_000, 10];
        for (let calls = 0; seen() < many.length; calls += 1) {
          await Promise.all([calls, calls + 1].map((call) => consumer.resize(sizes[call % sizes.length] as number)));
          await new Promise(setImmediate);
        }
        await publishing;
        await consumer.close();
        expect(await inspector().depths([queue])).toEqual([EMPTY]);
        // What is on its way while a broker is told to send less may go back: it says so when it comes again.
        const first = order(deliveries.filter(({ redelivered }) => !redelivered));
        expect(new Set(first).size).toBe(first.length);
      });

      test('changes nothing after `cancel`', async () => {
        const queue = await declared();
        await publishAll(queue);
        const { consumer, deliveries, until } = await consume(transport, queue, { prefetch: 2 });
        await until(2);
        await consumer.cancel();
        await consumer.resize(10);
        await (await consume(transport, queue)).until(98);
        expect(deliveries).toHaveLength(2);
        expect(consumer.consuming).toBe(false);
      });
    });

    describe('settling', () => {
      test('an acknowledged delivery is gone for good', async () => {
        const queue = await declared();
        await publish(message(queue), message(queue));
        const first = await consume(transport, queue);
        first.consumer.ack(await first.until(2));
        await first.consumer.close();
        await publish(message(queue, { correlationId: 'marker' }));
        const [delivery] = await (await consume(transport, queue)).until(1);
        expect(delivery?.message.correlationId).toBe('marker');
        expect(await inspector().depths([queue])).toEqual([{ messages: 0, consumers: 1 }]);
      });

      test('takes any order, in parts, and the same delivery twice', async () => {
        const queue = await declared();
        await publish(...Array.from({ length: 50 }, (_, index) => message(queue, { correlationId: `${index}` })));
        const first = await consume(transport, queue);
        const deliveries = await first.until(50);
        const odd = deliveries.filter((_, index) => index % 2 === 1).reverse();
        const even = deliveries.filter((_, index) => index % 2 === 0 && index !== 10);
        first.consumer.ack(odd);
        first.consumer.ack(odd.slice(0, 3));
        first.consumer.ack(even);
        first.consumer.ack([]);
        await first.consumer.close();
        const [left] = await (await consume(transport, queue)).until(1);
        expect(left?.message.correlationId).toBe('10');
        expect(await inspector().depths([queue])).toEqual([{ messages: 0, consumers: 1 }]);
      });

      test('after `cancel` a requeued delivery goes to another consumer, marked', async () => {
        const queue = await declared();
        await publish(message(queue, { correlationId: 'a' }), message(queue, { correlationId: 'b' }));
        const first = await consume(transport, queue);
        const [a, b] = (await first.until(2)) as [Delivery, Delivery];
        await first.consumer.cancel();
        first.consumer.requeue([b]);
        const [again] = await (await consume(transport, queue)).until(1);
        expect(again).toMatchObject({ redelivered: true, message: { correlationId: 'b' } });
        first.consumer.ack([a]);
        await first.consumer.close();
        expect(first.deliveries).toHaveLength(2);
      });

      test('what is not settled goes back on `close`', async () => {
        const queue = await declared();
        await publish(message(queue, { correlationId: 'kept' }), message(queue, { correlationId: 'left' }));
        const first = await consume(transport, queue);
        const [kept] = (await first.until(2)) as [Delivery];
        first.consumer.ack([kept]);
        await first.consumer.close();
        const [again] = await (await consume(transport, queue)).until(1);
        expect(again).toMatchObject({ redelivered: true, message: { correlationId: 'left' } });
      });

      test('what is not settled goes back on `stop`, and what is settled does not', async () => {
        const queue = await declared();
        const ids = Array.from({ length: 500 }, (_, index) => `${index}`);
        await publish(...ids.map((correlationId) => message(queue, { correlationId })));
        const peer = await another();
        const first = await consume(peer, queue, { prefetch: 1_000 });
        const deliveries = await first.until(ids.length);
        first.consumer.ack(deliveries.slice(0, -1));
        await peer.stop();
        const [again] = await (await consume(transport, queue)).until(1);
        expect(again).toMatchObject({ redelivered: true, message: { correlationId: '499' } });
        expect(await inspector().depths([queue])).toEqual([{ messages: 0, consumers: 1 }]);
      });
    });

    describe('cancel and close', () => {
      test('no delivery comes after `cancel`, and settling goes on', async () => {
        const queue = await declared();
        await publish(message(queue));
        const first = await consume(transport, queue);
        const deliveries = await first.until(1);
        expect(first.consumer.consuming).toBe(true);
        await first.consumer.cancel();
        expect(first.consumer.consuming).toBe(false);
        await publish(message(queue, { correlationId: 'later' }));
        const second = await consume(transport, queue);
        await second.until(1);
        expect(first.deliveries).toHaveLength(1);
        first.consumer.ack(deliveries);
        await Promise.all([first.consumer.close(), second.consumer.close()]);
        await eventually(() => inspector().depths([queue]), [HOLDS_ONE]);
      });

      test('may be repeated, and in any order', async () => {
        const { consumer } = await consume(transport, await declared());
        await Promise.all([consumer.cancel(), consumer.close(), consumer.cancel(), consumer.close()]);
        await consumer.cancel();
        await consumer.close();
        consumer.ack([]);
        consumer.requeue([]);
        expect(consumer.consuming).toBe(false);
      });
    });

    describe('stop', () => {
      test('may be repeated, and before `start`', async () => {
        await Promise.all([transport.stop(), transport.stop()]);
        await transport.stop();
        await fixture.connect().stop();
      });

      test('leaves nothing that can be used', async () => {
        const queue = await declared();
        const { consumer } = await consume(transport, queue);
        await transport.stop();
        const outcomes = await transport.publish([message(queue), message(queue)]);
        expect(outcomes.map(codeOf)).toEqual(['LOVAGE_STOPPED', 'LOVAGE_STOPPED']);
        await expectCode(transport.declare([fresh()]), 'LOVAGE_STOPPED');
        await expectCode(consume(transport, queue), 'LOVAGE_STOPPED');
        expect(consumer.consuming).toBe(false);
        await consumer.cancel();
        await consumer.close();
      });

      test('ends open publishes: each message has arrived or is an error', async () => {
        const queue = await declared();
        const peer = await another();
        const sending = peer.publish(Array.from({ length: 2_000 }, () => message(queue)));
        await peer.stop();
        const outcomes = await sending;
        const confirmed = outcomes.filter((outcome) => outcome === null).length;
        const errors = outcomes.filter((outcome) => outcome !== null).map(codeOf);
        expect(errors.every((code) => code === 'LOVAGE_STOPPED')).toBe(true);
        const [depth] = await inspector().depths([queue]);
        expect(depth?.messages).toBeGreaterThanOrEqual(confirmed);
      });
    });

    describe('inspect', () => {
      test('counts messages and consumers, in the order asked', async () => {
        const [queue, nowhere, idle] = [await declared(), fresh().name, await declared()];
        await publish(message(queue), message(queue), message(queue));
        await eventually(
          () => inspector().depths([nowhere, queue, idle]),
          [null, { messages: 3, consumers: 0 }, EMPTY],
        );
        await consume(transport, idle);
        await eventually(() => inspector().depths([idle]), [{ messages: 0, consumers: 1 }]);
        expect(await inspector().depths([])).toEqual([]);
      });

      test('purges what is ready, and leaves what is delivered', async () => {
        const queue = await declared();
        await publish(message(queue), message(queue), message(queue));
        const { consumer, until } = await consume(transport, queue, { prefetch: 1 });
        const deliveries = await until(1);
        expect(await inspector().purge(queue)).toBe(2);
        consumer.ack(deliveries);
        expect(await inspector().purge(queue)).toBe(0);
        await expectCode(inspector().purge(fresh().name), 'LOVAGE_UNROUTABLE');
      });
    });

    describe('visit', () => {
      const parts = Array.from({ length: 5 }, (_, n) => ({ correlationId: `${n}`, body: Buffer.from(`body ${n}`) }));
      const order = (messages: readonly Message[]) => messages.map(({ correlationId }) => correlationId);

      /** What is there, in order; all of it is kept. */
      async function look(queue: string, limit?: number): Promise<readonly Message[]> {
        const seen: Message[] = [];
        const shown = await inspector().visit(queue, { limit }, async (each) => {
          seen.push(each);
          return 'keep';
        });
        expect(shown).toBe(seen.length);
        return seen;
      }

      test('shows what is ready, in order, and keeps it there', async () => {
        const queue = await declared();
        await publish(...parts.map((part) => message(queue, { ...part, headers: HEADERS })));
        for (let round = 0; round < 3; round += 1) expect(order(await look(queue))).toEqual(['0', '1', '2', '3', '4']);
        const [first] = await look(queue, 1);
        // A broker may note in a header how often it was delivered.
        expect({ ...first, body: [...(first?.body ?? [])] }).toMatchObject({
          ...message(queue, { correlationId: '0', headers: HEADERS }),
          body: [...Buffer.from('body 0')],
        });
        await eventually(() => inspector().depths([queue]), [{ messages: 5, consumers: 0 }]);
      });

      test('shows no more than it is to', async () => {
        const queue = await declared();
        await publish(...parts.map((part) => message(queue, part)));
        expect(order(await look(queue, 2))).toEqual(['0', '1']);
        expect(order(await look(queue, 0))).toEqual([]);
        expect(order(await look(queue, 100))).toEqual(['0', '1', '2', '3', '4']);
      });

      test('removes what it is told to, and leaves the rest in order', async () => {
        const queue = await declared();
        await publish(...parts.map((part) => message(queue, part)));
        const isOdd = ({ correlationId }: Message) => Number(correlationId) % 2 === 1;
        expect(await inspector().visit(queue, {}, async (each) => (isOdd(each) ? 'remove' : 'keep'))).toBe(5);
        expect(order(await look(queue))).toEqual(['0', '2', '4']);
        const received = await consume(transport, queue);
        expect(order((await received.until(3)).map((delivery) => delivery.message))).toEqual(['0', '2', '4']);
      });

      test('does not show what arrives meanwhile', async () => {
        const queue = await declared();
        await publish(message(queue, { correlationId: 'a' }), message(queue, { correlationId: 'b' }));
        const shown = await inspector().visit(queue, {}, async ({ correlationId }) => {
          await publish(message(queue, { correlationId: `${correlationId} again` }));
          return 'remove';
        });
        expect(shown).toBe(2);
        expect(order(await look(queue))).toEqual(['a again', 'b again']);
      });

      test('shows to nobody else what is being shown', async () => {
        const queue = await declared();
        await publish(message(queue, { correlationId: 'a' }), message(queue, { correlationId: 'b' }));
        const peer = await another();
        const theirs: (string | null)[] = [];
        await inspector().visit(queue, { limit: 1 }, async () => {
          await peer.capabilities.inspect?.visit(queue, {}, async ({ correlationId }) => {
            theirs.push(correlationId);
            return 'keep';
          });
          return 'remove';
        });
        expect(theirs).toEqual(['b']);
        expect(order(await look(queue))).toEqual(['b']);
      });

      test('ends with what the visitor throws, and has removed what came before', async () => {
        const queue = await declared();
        await publish(...parts.map((part) => message(queue, part)));
        const enough = new RangeError('enough');
        const visiting = inspector().visit(queue, {}, async ({ correlationId }) => {
          if (correlationId === '2') throw enough;
          return correlationId === '0' ? 'remove' : 'keep';
        });
        await expect(visiting).rejects.toBe(enough);
        expect(order(await look(queue))).toEqual(['1', '2', '3', '4']);
      });

      test('tells a queue that is empty from one that is not there', async () => {
        expect(await look(await declared())).toEqual([]);
        await expectCode(look(fresh().name), 'LOVAGE_UNROUTABLE');
      });
    });

    it('has no test that the skip list names wrongly', () => {
      expect([...skip.keys()]).toEqual([]);
    });
  });
}

const EMPTY: QueueDepth = { messages: 0, consumers: 0 };
const HOLDS_ONE: QueueDepth = { messages: 1, consumers: 0 };

/** One of each kind of header value. */
const HEADERS = {
  text: 'ünïcode 🌿',
  empty: '',
  yes: true,
  no: false,
  nothing: null,
  small: -1,
  int16: 200,
  int32: -2_147_483_648,
  int64: 2 ** 40,
  negative64: -(2 ** 40),
  fraction: 0.1,
  list: [300, 200, null, 'x', [1, 2]],
  table: { retries: 300, nested: { deep: [{ n: 70_000 }] }, '!': 'data' },
};

function message(queue: string, parts: Partial<Message> = {}): Message {
  return {
    queue,
    headers: {},
    contentType: '',
    contentEncoding: '',
    correlationId: 'id',
    replyTo: null,
    priority: null,
    body: Buffer.from('body'),
    ...parts,
  };
}

/** A delivery without what its driver keeps in it, its bytes comparable. */
function plain(delivery: Partial<Delivery> | undefined): object {
  const { message, redelivered } = delivery as Delivery;
  return { message: { ...message, body: [...message.body] }, redelivered };
}

interface Received {
  readonly consumer: Consumer;
  readonly deliveries: readonly Delivery[];
  /** Resolves with all deliveries once there are `count`. */
  readonly until: (count: number) => Promise<readonly Delivery[]>;
}

async function consume(
  transport: Transport,
  queue: string,
  { prefetch = 100, ack = false }: { readonly prefetch?: number; readonly ack?: boolean } = {},
): Promise<Received> {
  const deliveries: Delivery[] = [];
  const waiters = new Set<() => void>();
  const consumer = await transport.consume({
    queue,
    prefetch,
    onDeliveries: (batch) => {
      deliveries.push(...batch);
      if (ack) consumer.ack(batch);
      for (const wake of waiters) wake();
    },
  });
  const until = (count: number) =>
    new Promise<readonly Delivery[]>((resolve, reject) => {
      const late = () => reject(new Error(`expected ${count} deliveries, got ${deliveries.length}`));
      const timer = setTimeout(late, DEADLINE_MS);
      const wake = () => {
        if (deliveries.length < count) return;
        clearTimeout(timer);
        waiters.delete(wake);
        resolve([...deliveries]);
      };
      waiters.add(wake);
      wake();
    });
  return { consumer, deliveries, until };
}

function codeOf(error: LovageError | null | undefined): string | null | undefined {
  return error === null || error === undefined ? error : isLovageError(error) ? error.code : 'not of our family';
}

async function expectCode(promise: Promise<unknown>, code: string): Promise<void> {
  const error = await promise.then(
    () => null,
    (thrown: unknown) => thrown as LovageError,
  );
  expect(codeOf(error)).toBe(code);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
