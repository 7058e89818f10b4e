import { type Transport, lostQueueOf } from '@lovage/core';
import { Client } from 'pg';
import { TcpProxy } from '../../../../test/support/tcp-proxy.js';
import { Receiver, Transports, declared, inspectorOf, message, publish } from '../../test/queue-support.js';
import { RecordedEvents, TestSchema, until } from '../../test/support.js';

// Leases are renewed and ended as they are.
jest.setTimeout(30_000);

const schema = new TestSchema();
const transports = new Transports(schema);
let transport: Transport;

beforeAll(() => schema.migrate());
beforeEach(async () => {
  transport = await transports.started();
});
afterEach(async () => {
  await transports.stop();
  await schema.sql('TRUNCATE outbox, queues, consumers');
});
afterAll(() => schema.dispose());

/** As if its lease had been over for a second. */
async function endLease(correlationId: string): Promise<void> {
  const text = "UPDATE outbox SET due_at = now() - interval '1 second' WHERE properties->>'correlationId' = $1";
  await schema.sql(text, [correlationId]);
}

async function rows(): Promise<number> {
  const [row] = await schema.sql<{ count: number }>('SELECT count(*)::int AS count FROM outbox');
  return row?.count ?? 0;
}

/** Writes a row of the future as a call with a countdown does; resolves with its time, by Date.now(). */
async function writeDueIn(
  client: Client,
  { queue, ms }: { readonly queue: string; readonly ms: number },
): Promise<number> {
  const { rows: written } = await client.query<{ due: string }>(
    `INSERT INTO "${schema.name}".outbox (id, task_id, task, queue, due_at, eta, headers, properties, body, created_at)
     SELECT gen_random_uuid(), 't', 't', $1, due, due, '{}', '{}', '[]', now()
     FROM (SELECT clock_timestamp() + $2 * interval '1 millisecond' AS due) AS times
     RETURNING extract(epoch FROM eta) * 1000 AS due`,
    [queue, ms],
  );
  return Number(written[0]?.due);
}

/** A transport by way of a proxy, to be cut off. */
async function remote(): Promise<{
  readonly proxy: TcpProxy;
  readonly peer: Transport;
  readonly events: RecordedEvents;
}> {
  const proxy = await TcpProxy.start(schema.url);
  const events = new RecordedEvents();
  return { proxy, peer: await transports.started({ urls: [proxy.url] }, events), events };
}

/** What a consumer does first after an outage is to renew: that needs no waiting for its time. */
async function interrupt(proxy: TcpProxy, receiver: Receiver): Promise<void> {
  await proxy.refuse();
  await until('it to be noticed', () => !receiver.consumer.consuming);
  await proxy.accept();
}

describe('priorities', () => {
  it('go higher first, clamped to those of the queue', async () => {
    const queue = await declared(transport, { type: 'classic', maxPriority: 5 });
    const sent = [null, 0, 3, 9, 5, 1, -1, 255];
    await publish(transport, ...sent.map((priority, index) => message(queue, `${index}`, { priority })));
    const receiver = await Receiver.on(transport, queue, { ack: true });
    await receiver.until(sent.length);
    expect(receiver.names).toEqual(['3', '4', '7', '2', '5', '0', '1', '6']);
  });

  it('go higher first across several looks', async () => {
    const queue = await declared(transport, { type: 'classic', maxPriority: 9 });
    await publish(transport, ...Array.from({ length: 50 }, (_, n) => message(queue, `${n}`, { priority: n % 10 })));
    const receiver = await Receiver.on(transport, queue, { ack: true, prefetch: 7 });
    await receiver.until(50);
    const priorities = receiver.deliveries.map((delivery) => delivery.message.priority);
    expect(priorities).toEqual([...priorities].sort((a, b) => Number(b) - Number(a)));
  });

  it('are none where the queue has none', async () => {
    const queue = await declared(transport);
    await publish(transport, ...[1, 9, 5].map((priority) => message(queue, `${priority}`, { priority })));
    const receiver = await Receiver.on(transport, queue);
    await receiver.until(3);
    expect(receiver.names).toEqual(['1', '9', '5']);
  });

  it('come after what was delivered before', async () => {
    const queue = await declared(transport, { type: 'classic', maxPriority: 9 });
    await publish(transport, message(queue, 'low', { priority: 0 }));
    const first = await Receiver.on(transport, queue);
    await first.until(1);
    await first.consumer.close();
    await publish(transport, message(queue, 'high', { priority: 9 }));
    const second = await Receiver.on(transport, queue, { prefetch: 1, ack: true });
    await second.until(2);
    expect(second.names).toEqual(['low', 'high']);
    expect(second.deliveries.map(({ redelivered }) => redelivered)).toEqual([true, false]);
  });
});

describe('what was handed back', () => {
  it('goes before a backlog, all of it, though each look finds as much as there is room for', async () => {
    const queue = await declared(transport);
    const names = Array.from({ length: 100 }, (_, index) => `${index}`);
    await publish(transport, ...names.map((name) => message(queue, name, { headers: { id: name } })));
    await schema.sql('UPDATE outbox SET deliveries = 1, priority = 256 WHERE task_id::int >= 60');
    const receiver = await Receiver.on(transport, queue, { prefetch: 5, ack: true });
    await receiver.until(100);
    expect(receiver.names).toEqual([...names.slice(60), ...names.slice(0, 60)]);
  });

  it('keeps its order, and goes before what has not been delivered', async () => {
    const queue = await declared(transport);
    const names = Array.from({ length: 40 }, (_, index) => `${index}`);
    await publish(transport, ...names.map((name) => message(queue, name)));
    const first = await Receiver.on(transport, queue, { prefetch: 20 });
    await first.until(20);
    await first.consumer.cancel();
    first.consumer.ack(first.deliveries.slice(0, 5));
    first.consumer.requeue(first.deliveries.slice(5));
    await first.consumer.close();
    const second = await Receiver.on(transport, queue);
    await second.until(35);
    expect(second.names).toEqual(names.slice(5));
    expect(second.deliveries.filter(({ redelivered }) => redelivered)).toHaveLength(15);
  });

  it('wakes another process at once', async () => {
    const queue = await declared(transport);
    const peer = await transports.started();
    await publish(transport, message(queue, 'a'), message(queue, 'b'));
    const first = await Receiver.on(transport, queue);
    await first.until(2);
    const second = await Receiver.on(peer, queue);
    await first.consumer.close();
    await second.until(2);
    expect(second.names).toEqual(['a', 'b']);
  });

  it('is handed back after an outage too', async () => {
    const queue = await declared(transport);
    const { proxy, peer } = await remote();
    await publish(transport, message(queue));
    const first = await Receiver.on(peer, queue);
    await first.until(1);
    await first.consumer.cancel();
    await proxy.refuse();
    first.consumer.requeue(first.deliveries);
    const second = await Receiver.on(transport, queue);
    await proxy.accept();
    await second.until(1);
    expect(second.delivery(0).redelivered).toBe(true);
    await peer.stop();
    await proxy.stop();
  });
});

describe('a lease', () => {
  it('is renewed for as long as its message is held, and the consumer with it', async () => {
    const queue = await declared(transport);
    const { proxy, peer } = await remote();
    await publish(transport, message(queue));
    const receiver = await Receiver.on(peer, queue);
    await receiver.until(1);
    await schema.sql("UPDATE outbox SET due_at = now() + interval '5 seconds'");
    await schema.sql("UPDATE consumers SET expires_at = now() + interval '5 seconds'");
    await interrupt(proxy, receiver);
    await until('a renewal', async () => {
      const [row] = await schema.sql<{ renewed: boolean }>(
        `SELECT (SELECT due_at FROM outbox) > now() + interval '20 seconds'
           AND (SELECT expires_at FROM consumers) > now() + interval '20 seconds' AS renewed`,
      );
      return row?.renewed === true;
    });
    expect(receiver.lost).toBe(0);
    await peer.stop();
    await proxy.stop();
  });

  it('is renewed though something else cannot be settled', async () => {
    const queue = await declared(transport);
    await publish(transport, message(queue, 'stuck'), message(queue, 'held'));
    const receiver = await Receiver.on(transport, queue);
    await receiver.until(2);
    const other = new Client({ connectionString: schema.url });
    await other.connect();
    await other.query(
      `BEGIN; SELECT FROM "${schema.name}".outbox WHERE properties->>'correlationId' = 'stuck' FOR UPDATE`,
    );
    await schema.sql(
      "UPDATE outbox SET due_at = now() + interval '5 seconds' WHERE properties->>'correlationId' = 'held'",
    );
    receiver.consumer.ack([receiver.delivery(0)]);
    await until('a renewal', async () => {
      const renewed = await schema.sql(
        "SELECT FROM outbox WHERE due_at > now() + interval '20 seconds' AND properties->>'correlationId' = 'held'",
      );
      return renewed.length === 1;
    });
    expect(await rows()).toBe(2);
    await other.query('COMMIT');
    await other.end();
    await until('the ack to arrive', async () => (await rows()) === 1);
    expect(receiver.lost).toBe(0);
  });

  it('gives back what a process held that is gone, marked', async () => {
    const queue = await declared(transport);
    const { proxy, peer } = await remote();
    await publish(transport, message(queue, 'held'), message(queue, 'new'));
    const dead = await Receiver.on(peer, queue, { prefetch: 1 });
    await dead.until(1);
    await proxy.refuse();
    const receiver = await Receiver.on(transport, queue);
    await receiver.until(1);
    expect(receiver.names).toEqual(['new']);
    await endLease('held');
    await receiver.until(2);
    expect(
      receiver.deliveries.map(({ message: { correlationId }, redelivered }) => [correlationId, redelivered]),
    ).toEqual([
      ['new', false],
      ['held', true],
    ]);
    await peer.stop();
    await proxy.stop();
  });

  it('that another has now is told of, and a late hand-back is passed over', async () => {
    const queue = await declared(transport);
    const { proxy, peer } = await remote();
    await publish(transport, message(queue, 'stolen'), message(queue, 'kept'));
    const stalled = await Receiver.on(peer, queue);
    await stalled.until(2);
    const [stolen, kept] = [stalled.delivery(0), stalled.delivery(1)];
    await endLease('stolen');
    const thief = await Receiver.on(transport, queue);
    await thief.until(1);
    const [before] = await schema.sql<{ text: string }>('SELECT outbox::text AS text FROM outbox WHERE deliveries = 2');
    await interrupt(proxy, stalled);
    await until('the loss to be told of', () => stalled.lost === 1);
    stalled.consumer.requeue([stolen]);
    stalled.consumer.ack([kept]);
    await until('the ack to arrive', async () => (await rows()) === 1);
    expect(await schema.sql('SELECT outbox::text AS text FROM outbox')).toEqual([before]);
    expect(thief.names).toEqual(['stolen']);
    // A task that has ended has ended, whoever holds its message.
    stalled.consumer.ack([stolen]);
    await until('the late ack to remove it', async () => (await rows()) === 0);
    await peer.stop();
    await proxy.stop();
  });

  it('that ended without anybody noticing is taken up again', async () => {
    const queue = await declared(transport);
    const { proxy, peer } = await remote();
    await publish(transport, message(queue));
    const receiver = await Receiver.on(peer, queue);
    await receiver.until(1);
    await schema.sql('DELETE FROM consumers');
    await interrupt(proxy, receiver);
    await until('it to be counted again', async () => {
      const [depth] = await inspectorOf(transport).depths([queue]);
      return depth?.consumers === 1;
    });
    await peer.stop();
    await proxy.stop();
  });
});

describe('an outage', () => {
  it('delays acks, and loses none', async () => {
    const queue = await declared(transport);
    const { proxy, peer } = await remote();
    await publish(transport, ...Array.from({ length: 50 }, () => message(queue)));
    const receiver = await Receiver.on(peer, queue);
    await receiver.until(50);
    await proxy.refuse();
    receiver.consumer.ack(receiver.deliveries.slice(0, 25));
    await until('it to be noticed', () => !receiver.consumer.consuming);
    receiver.consumer.ack(receiver.deliveries.slice(25));
    expect(await rows()).toBe(50);
    await proxy.accept();
    await until('the acks to arrive', async () => (await rows()) === 0);
    await until('it to consume', () => receiver.consumer.consuming);
    await publish(transport, message(queue, 'later'));
    await receiver.until(51);
    expect(receiver.lost).toBe(0);
    await peer.stop();
    await proxy.stop();
  });

  it('does not hold up `cancel` and `close`', async () => {
    const queue = await declared(transport);
    const { proxy, peer } = await remote();
    const receiver = await Receiver.on(peer, queue);
    await proxy.refuse();
    receiver.consumer.ack([]);
    await until('it to be noticed', () => !receiver.consumer.consuming);
    const start = Date.now();
    await receiver.consumer.cancel();
    await receiver.consumer.close();
    expect(Date.now() - start).toBeLessThan(1_000);
    await peer.stop();
    await proxy.stop();
  });
});

describe('who consumes', () => {
  it('is counted until it leaves, and not again while it settles', async () => {
    const queue = await declared(transport);
    const { proxy, peer, events } = await remote();
    await publish(transport, message(queue, 'settled'), message(queue, 'held'));
    const receiver = await Receiver.on(peer, queue);
    await receiver.until(2);
    await receiver.consumer.cancel();
    const counted = async (): Promise<unknown> => (await inspectorOf(transport).depths([queue]))[0]?.consumers;
    expect(await counted()).toBe(0);
    await schema.sql("UPDATE outbox SET due_at = now() + interval '5 seconds'");
    // An ack that fails is followed by a renewal of what is left.
    await proxy.refuse();
    receiver.consumer.ack([receiver.delivery(0)]);
    await until('the outage to be noticed', () => events.of('connection:lost').length > 0);
    await proxy.accept();
    await until('a renewal', async () => {
      const renewed = await schema.sql("SELECT FROM outbox WHERE due_at > now() + interval '20 seconds'");
      return renewed.length === 1;
    });
    expect(await counted()).toBe(0);
    await peer.stop();
    await proxy.stop();
  });

  it('is not counted once `close` has resolved, however soon that was called', async () => {
    const queue = await declared(transport);
    const { consumer } = await Receiver.on(transport, queue);
    await consumer.close();
    expect(await inspectorOf(transport).depths([queue])).toEqual([{ messages: 0, consumers: 0 }]);
  });
});

describe('the delivery limit', () => {
  it('moves a message to .lost with the reason, and delivers its neighbours', async () => {
    const queue = await declared(transport);
    await publish(transport, message(queue, 'poison', { headers: { id: 'poison' } }), message(queue, 'good'));
    await schema.sql("UPDATE outbox SET deliveries = 1000, priority = 256 WHERE task_id = 'poison'");
    const receiver = await Receiver.on(transport, queue);
    const lost = await Receiver.on(transport, lostQueueOf(queue));
    await Promise.all([receiver.until(1), lost.until(1)]);
    expect(receiver.names).toEqual(['good']);
    expect(lost.names).toEqual(['poison']);
    expect(lost.delivery(0)).toMatchObject({
      redelivered: false,
      message: { headers: { id: 'poison', 'x-death': [{ reason: 'delivery_limit', queue, count: 1 }] } },
    });
  });

  it('holds up nothing behind it', async () => {
    const queue = await declared(transport);
    await publish(
      transport,
      ...Array.from({ length: 20 }, (_, n) => message(queue, 'poison', { headers: { id: `${n}` } })),
    );
    await schema.sql('UPDATE outbox SET deliveries = 1000, priority = 256');
    await publish(transport, message(queue, 'good'));
    const start = Date.now();
    const receiver = await Receiver.on(transport, queue, { prefetch: 4 });
    await receiver.until(1);
    expect(receiver.names).toEqual(['good']);
    // Without a poll between two looks.
    expect(Date.now() - start).toBeLessThan(900);
  });

  it('is none where the queue has no .lost', async () => {
    const queue = await declared(transport, { type: 'classic' });
    await publish(transport, message(queue));
    await schema.sql('UPDATE outbox SET deliveries = 5000, priority = 256');
    const receiver = await Receiver.on(transport, queue);
    await receiver.until(1);
    expect(receiver.delivery(0).redelivered).toBe(true);
  });
});

describe('a look at the queue', () => {
  it('takes at most 8 MB, and looks for the rest at once', async () => {
    const queue = await declared(transport);
    // 3 + 6 is too much; 9 goes alone.
    const sizes = [3, 6, 3, 9, 1, 1];
    for (const [index, size] of sizes.entries())
      await publish(transport, message(queue, `${index}`, { body: Buffer.alloc(size * 2 ** 20, 'x') }));
    const batches: number[][] = [];
    const start = Date.now();
    const consumer = await transport.consume({
      queue,
      prefetch: 100,
      onDeliveries: (batch) => batches.push(batch.map((one) => one.message.body.byteLength / 2 ** 20)),
    });
    await until('all of them', () => batches.flat().length === sizes.length);
    expect(Date.now() - start).toBeLessThan(1_000);
    expect(batches).toEqual([[3], [6], [3], [9], [1, 1]]);
    await consumer.close();
  });

  it('of one consumer, which never settles, starves no other queue', async () => {
    const [slow, fast] = [await declared(transport), await declared(transport)];
    await publish(transport, ...Array.from({ length: 200 }, () => message(slow)));
    const stuck = await Promise.all(Array.from({ length: 8 }, () => Receiver.on(transport, slow, { prefetch: 10 })));
    const receiver = await Receiver.on(transport, fast, { ack: true, prefetch: 10 });
    await publish(transport, ...Array.from({ length: 500 }, () => message(fast)));
    await receiver.until(500);
    expect(stuck.every(({ deliveries }) => deliveries.length <= 10)).toBe(true);
  });

  it('comes when the next is due, to within 50 ms', async () => {
    const queue = await declared(transport);
    const receiver = await Receiver.on(transport, queue);
    const client = new Client({ connectionString: schema.url });
    await client.connect();
    const late: number[] = [];
    for (let round = 1; round <= 5; round += 1) {
      const due = await writeDueIn(client, { queue, ms: 300 });
      // As whoever wrote it does where the queue is the outbox.
      transport.capabilities.table?.wakeIn(due - Date.now());
      await receiver.until(round);
      late.push((receiver.times[round - 1] ?? Infinity) - due);
    }
    await client.end();
    expect(Math.min(...late)).toBeGreaterThanOrEqual(-1);
    // The machine may be busy for some of them.
    expect([...late].sort((a, b) => a - b)[2]).toBeLessThan(50);
  });

  it('is not brought about by what is far away', async () => {
    const queue = await declared(transport);
    const receiver = await Receiver.on(transport, queue, { ack: true });
    const timers = jest.spyOn(globalThis, 'setTimeout');
    // Node's timers take 24 days, and fire at once beyond.
    transport.capabilities.table?.wakeIn(30 * 24 * 3_600_000);
    expect(timers).not.toHaveBeenCalled();
    timers.mockRestore();
    await publish(transport, message(queue));
    await receiver.until(1);
  });

  it('comes soon after its time for a row that nobody told of', async () => {
    const queue = await declared(transport);
    const receiver = await Receiver.on(transport, queue);
    const client = new Client({ connectionString: schema.url });
    await client.connect();
    // Between the polls of the second and the third second.
    const due = await writeDueIn(client, { queue, ms: 1_400 });
    await client.end();
    await receiver.until(1);
    const late = (receiver.times[0] ?? Infinity) - due;
    expect(late).toBeGreaterThanOrEqual(-1);
    expect(late).toBeLessThan(300);
  });
});

describe('news', () => {
  it('of several queues reach their consumers long before they poll', async () => {
    const peer = await transports.started();
    const queues = [await declared(transport), await declared(transport), await declared(transport)];
    const receivers = await Promise.all(queues.map((queue) => Receiver.on(peer, queue, { ack: true })));
    const took: number[] = [];
    for (let round = 1; round <= 5; round += 1) {
      const start = Date.now();
      await publish(transport, ...queues.map((queue) => message(queue)));
      await Promise.all(receivers.map((receiver) => receiver.until(round)));
      took.push(Date.now() - start);
    }
    expect([...took].sort((a, b) => a - b)[2]).toBeLessThan(100);
  });

  it('are done without where nothing can listen', async () => {
    const proxy = await TcpProxy.start(schema.url);
    await proxy.refuse();
    const peer = await transports.started({ listenUrl: proxy.url });
    const queue = await declared(transport);
    const receiver = await Receiver.on(peer, queue, { ack: true });
    for (let round = 1; round <= 2; round += 1) {
      await publish(transport, message(queue));
      await receiver.until(round);
    }
    await peer.stop();
  });
});
