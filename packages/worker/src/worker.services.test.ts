import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type ChannelModel } from 'amqplib';
import {
  Task,
  TaskContext,
  deadQueueOf,
  lostQueueOf,
  type AppOptions,
  type Outbox,
  type TaskClass,
} from '@lovage/core';
import { TcpProxy } from '../../../test/support/tcp-proxy.js';
import { Gated } from '../test/gated-task.js';
import { Rig, messageOf } from '../test/rig.js';
import { Relay } from './relay/relay.js';
import type { WorkerOptions } from './worker-options.js';

jest.setTimeout(30_000);

/** A server that `npm run services` provides. */
function serverUrl(name: 'LOVAGE_BROKER' | 'LOVAGE_RESULTS'): string {
  const url = process.env[name];
  if (url === undefined) throw new TypeError(`expected ${name} to be set: run the tests with \`npm test\``);
  return url;
}

@Task({ name: 'divide' })
class Divide {
  run(x: number, y: number): number {
    return x / y;
  }
}

@Task({ name: 'flaky', retry: { max: 2, backoff: 50, jitter: false } })
class Flaky {
  run(failures: number): string {
    if (TaskContext.current().retries < failures) throw new RangeError('not yet');
    return 'done';
  }
}

@Task({ name: 'asks' })
class Asks {
  run(): string {
    const context = TaskContext.current();
    if (context.retries === 0) context.retry({ countdown: 0 });
    return 'there';
  }
}

const schema = `worker_${randomBytes(6).toString('hex')}`;
const rigs: Rig[] = [];
let broker: ChannelModel;
let queue: string;

function rigOf(
  options: {
    readonly app?: AppOptions;
    readonly worker?: WorkerOptions;
    readonly resultsUrl?: string;
    readonly tasks?: readonly TaskClass[];
  } = {},
): Rig {
  const results = { url: options.resultsUrl ?? serverUrl('LOVAGE_RESULTS'), schema };
  const app = { broker: serverUrl('LOVAGE_BROKER'), results, defaultQueue: queue, ...options.app };
  const rig = new Rig({
    tasks: options.tasks ?? [Divide, Gated, Flaky, Asks],
    app,
    ...(options.worker === undefined ? {} : { worker: options.worker }),
  });
  rigs.push(rig);
  return rig;
}

/** Waits until the broker says so; the test's own time limit is the deadline. */
async function eventually(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition()));
}

/** Resolves once a queue holds so many messages that nobody has. */
async function holds(rig: Rig, name: string, messages: number): Promise<void> {
  await eventually(async () => (await rig.ready(name)) === messages);
}

async function recordOf(rig: Rig, id: string) {
  return (await rig.app.results.find({ ids: [id] }))[0];
}

/** Declares the queue, without a worker. */
async function declare(rig: Rig): Promise<void> {
  await (await rig.transport()).declare([{ name: queue, type: 'quorum', maxPriority: null, declare: true }]);
}

async function outboxOf(rig: Rig): Promise<Outbox> {
  return (await rig.app.connectResults())?.capabilities.outbox as Outbox;
}

beforeAll(async () => {
  broker = await connect(serverUrl('LOVAGE_BROKER'));
  queue = `worker-${randomBytes(6).toString('hex')}`;
  const migrator = rigOf();
  await (await migrator.app.resultBackend())?.capabilities.schema?.migrate();
});
beforeEach(() => {
  Gated.runs = [];
  queue = `worker-${randomBytes(6).toString('hex')}`;
});
afterEach(async () => {
  Gated.release();
  await Promise.all(rigs.splice(0).map((rig) => rig.stop()));
  const channel = await broker.createChannel();
  for (const name of [queue, lostQueueOf(queue), deadQueueOf(queue)]) await channel.deleteQueue(name);
  await channel.close();
});
afterAll(() => broker.close());

describe('a worker on RabbitMQ and PostgreSQL', () => {
  it('runs, stores and acknowledges', async () => {
    const rig = rigOf();
    await rig.worker.start();
    const results = await rig.app.task(Divide).delayMany([
      [1, 2],
      [3, 4],
    ]);
    await expect(Promise.all(results.map((result) => result.get({ timeout: '10s' })))).resolves.toEqual([0.5, 0.75]);
    await rig.worker.stop();
    await holds(rig, queue, 0);
  });

  it('moves what nobody can run to the dead-letter queue, headers and body intact', async () => {
    const rig = rigOf();
    await rig.worker.start();
    const message = {
      ...messageOf('divide', { queue, headers: { tenant: 'acme' } }),
      body: Buffer.from('[[1, "two"], {}, {"chain": [{"task": "next"}]}]'),
    };
    await rig.publish(message);
    await rig.seen('message:dead');
    await holds(rig, deadQueueOf(queue), 1);
    const [letter] = await rig.takeDead(1);
    expect(letter?.headers).toMatchObject({
      ...message.headers,
      'x-lovage-queue': queue,
      'x-lovage-worker': rig.worker.name,
    });
    expect(Buffer.from(letter?.body ?? '')).toEqual(message.body);
    await rig.worker.stop();
    await holds(rig, queue, 0);
  });

  it('revokes what the broker let expire (Celery sets `expiration`)', async () => {
    const rig = rigOf();
    await declare(rig);
    const { body, headers } = messageOf('divide', { id: `stale-${queue}` }, [1, 2]);
    const channel = await broker.createConfirmChannel();
    channel.sendToQueue(queue, Buffer.from(body), {
      headers,
      contentType: 'application/json',
      expiration: 1,
      persistent: true,
    });
    await channel.waitForConfirms();
    await channel.close();
    await holds(rig, lostQueueOf(queue), 1);
    await rig.worker.start();
    await rig.seen('message:dead');
    await expect(recordOf(rig, `stale-${queue}`)).resolves.toMatchObject({ state: 'REVOKED', queue });
    await holds(rig, deadQueueOf(queue), 1);
    await rig.worker.stop();
    await holds(rig, lostQueueOf(queue), 0);
  });

  it('fails what reached the delivery limit', async () => {
    const rig = rigOf();
    await declare(rig);
    await rig.publish(messageOf('divide', { id: `poison-${queue}`, queue }, [1, 2]));
    const channel = await broker.createChannel();
    await channel.consume(queue, (message) => message !== null && channel.nack(message, false, true));
    await holds(rig, lostQueueOf(queue), 1);
    await channel.close();
    await rig.worker.start();
    await rig.seen('message:dead');
    await expect(recordOf(rig, `poison-${queue}`)).resolves.toMatchObject({
      state: 'FAILURE',
      error: { code: 'LOVAGE_MESSAGE_LOST' },
    });
  });

  it('hands back what has not started when it stops, and another worker runs it', async () => {
    const first = rigOf({ worker: { concurrency: 1 } });
    await first.worker.start();
    await first.publish(
      messageOf('gated', { id: `runs-${queue}`, queue }),
      messageOf('gated', { id: `waits-${queue}`, queue }),
    );
    await first.seen('task:received', 2);
    const stopping = first.worker.stop();
    Gated.run(0).gate.resolve('done');
    await expect(stopping).resolves.toEqual({ finished: 1, abandoned: 0, returned: 1, strays: 0 });
    await holds(first, queue, 1);
    await expect(recordOf(first, `runs-${queue}`)).resolves.toMatchObject({ state: 'SUCCESS', result: 'done' });
    const second = rigOf();
    await second.worker.start();
    await Gated.running(2);
    Gated.run(1).gate.resolve('by the other');
    await second.seen('task:succeeded');
    await expect(recordOf(first, `waits-${queue}`)).resolves.toMatchObject({ result: 'by the other' });
  });

  it('does not run a redelivered task that has ended', async () => {
    const rig = rigOf();
    await declare(rig);
    await rig.publish(messageOf('gated', { id: `twice-${queue}`, queue }));
    await rig.worker.start();
    await Gated.running(1);
    Gated.run(0).gate.resolve(1);
    await rig.seen('task:succeeded');
    await rig.worker.stop();
    // Delivered to somebody who died with it.
    await rig.publish(messageOf('gated', { id: `twice-${queue}`, queue }));
    const channel = await broker.createChannel();
    await channel.consume(queue, () => void channel.close());
    await once(channel, 'close');
    const other = rigOf();
    await other.worker.start();
    await other.seen('task:duplicate');
    expect(Gated.runs).toHaveLength(1);
    await other.worker.stop();
    await holds(rig, queue, 0);
  });

  it('ends well what was handed back at ten stops: it has killed nobody', async () => {
    const id = `long-${queue}`;
    await declare(rigOf());
    await (rigs[0] as Rig).publish(messageOf('gated', { id, queue }));
    for (let stops = 0; stops < 10; stops += 1) {
      const rig = rigOf({ app: { worker: { maxStarts: 3 } }, worker: { shutdownTimeout: 0 } });
      await rig.worker.start();
      await Gated.running(stops + 1);
      const { gate, signal } = Gated.run(stops);
      signal().addEventListener('abort', () => gate.reject(new Error('interrupted')));
      await expect(rig.worker.stop()).resolves.toMatchObject({ abandoned: 1 });
      await rig.app.stop();
    }
    const rig = rigOf({ app: { worker: { maxStarts: 3 } } });
    await rig.worker.start();
    await Gated.running(11);
    Gated.run(10).gate.resolve('at last');
    await rig.seen('task:succeeded');
    await expect(recordOf(rig, id)).resolves.toMatchObject({ state: 'SUCCESS', attempt: 0, result: 'at last' });
  });

  it('holds what has ended while the database is away, unacknowledged, and commits it later', async () => {
    const proxy = await TcpProxy.start(serverUrl('LOVAGE_RESULTS'));
    const rig = rigOf({ resultsUrl: proxy.url });
    try {
      await rig.worker.start();
      const ids = ['a', 'b', 'c'].map((id) => `${id}-${queue}`);
      await rig.publish(...ids.map((id) => messageOf('gated', { id, queue })));
      await Gated.running(3);
      await proxy.refuse();
      for (const { gate } of Gated.runs) gate.resolve('kept');
      await rig.seen('warning');
      expect(rig.of('task:succeeded')).toEqual([]);
      await proxy.accept();
      await rig.seen('task:succeeded', 3);
      for (const id of ids)
        await expect(recordOf(rig, id)).resolves.toMatchObject({ state: 'SUCCESS', result: 'kept' });
      await rig.worker.stop();
      await holds(rig, queue, 0);
    } finally {
      await rig.stop();
      await proxy.stop();
    }
  });

  it('runs a task once when the broker is lost under it', async () => {
    const proxy = await TcpProxy.start(serverUrl('LOVAGE_BROKER'));
    const rig = rigOf({ app: { broker: proxy.url } });
    try {
      await rig.worker.start();
      await rig.publish(messageOf('gated', { id: `shaken-${queue}`, queue }));
      await Gated.running(1);
      await proxy.refuse();
      await rig.seen('connection:lost');
      await proxy.accept();
      await rig.seen('task:duplicate');
      Gated.run(0).gate.resolve('once');
      await rig.seen('task:succeeded');
      expect(Gated.runs).toHaveLength(1);
      await rig.worker.stop();
      await holds(rig, queue, 0);
    } finally {
      await rig.stop();
      await proxy.stop();
    }
  });
});

describe('the outbox of PostgreSQL', () => {
  it('brings back what failed, until it succeeds or there are no more retries', async () => {
    const rig = rigOf();
    await rig.worker.start();
    const results = await rig.app.task(Flaky).delayMany([[1], [2], [3]]);
    await rig.seen('task:failed');
    await rig.seen('task:succeeded', 2);
    const records = await Promise.all(results.map(({ id }) => recordOf(rig, id)));
    expect(records.map((record) => [record?.state, record?.retries, record?.attempt])).toEqual([
      ['SUCCESS', 1, 1],
      ['SUCCESS', 2, 2],
      ['FAILURE', 2, 2],
    ]);
    expect(rig.of('task:retried')).toHaveLength(5);
    await rig.worker.stop();
    await holds(rig, queue, 0);
    await expect((await outboxOf(rig)).claim(10)).resolves.toMatchObject({ messages: [] });
  });

  it('sends what is due now right after the commit', async () => {
    const rig = rigOf();
    await rig.worker.start();
    const begun = performance.now();
    const result = await rig.app.task(Asks).delay();
    await expect(result.get({ timeout: '10s' })).resolves.toBe('there');
    // A relay would have waited for the lease to end.
    expect(performance.now() - begun).toBeLessThan(10_000);
    await expect(recordOf(rig, result.id)).resolves.toMatchObject({ retries: 1, attempt: 1 });
  });

  it('keeps what comes too early, and sends it when it is due', async () => {
    const rig = rigOf();
    await rig.worker.start();
    const eta = new Date(Date.now() + 1_500);
    await rig.publish(messageOf('divide', { id: `early-${queue}`, queue, eta }, [1, 2]));
    await rig.seen('task:postponed');
    await expect(recordOf(rig, `early-${queue}`)).resolves.toMatchObject({ state: 'PENDING', scheduledAt: eta });
    await rig.seen('task:succeeded');
    const record = await recordOf(rig, `early-${queue}`);
    expect(record?.startedAt?.getTime()).toBeGreaterThanOrEqual(eta.getTime());
  });

  it('keeps an unknown task for a worker that knows it', async () => {
    const old = rigOf({ tasks: [Gated] });
    await old.worker.start();
    await old.publish(messageOf('divide', { id: `new-${queue}`, queue }, [1, 2]));
    await old.seen('task:postponed');
    await old.worker.stop();
    const deployed = rigOf();
    await deployed.worker.start();
    await deployed.seen('task:succeeded');
    await expect(recordOf(deployed, `new-${queue}`)).resolves.toMatchObject({
      state: 'SUCCESS',
      result: 0.5,
      retries: 0,
    });
  });

  it('frees a unique key when a worker takes its task', async () => {
    const rig = rigOf();
    const call = () =>
      rig.app
        .task(Gated)
        .with({ unique: { key: queue, scope: 'queued', ttl: '1h' } })
        .delay();
    const first = await call();
    expect((await call()).id).toBe(first.id);
    await rig.worker.start();
    await Gated.running(1);
    expect((await call()).id).not.toBe(first.id);
    await Gated.running(2);
    for (const { gate } of Gated.runs) gate.resolve(1);
    await rig.seen('task:succeeded', 2);
  });

  it('fills while the broker is away, and drains afterwards through a relay alone', async () => {
    const proxy = await TcpProxy.start(serverUrl('LOVAGE_BROKER'));
    const rig = rigOf({ app: { broker: { url: proxy.url, publishTimeout: '1s' } } });
    const relay = new Relay(rig.app);
    try {
      await declare(rig);
      await relay.start();
      await proxy.refuse();
      await rig.seen('connection:lost');
      const calls = Array.from({ length: 1_200 }, () => [1, 2] as [number, number]);
      await rig.app.task(Divide).with({ countdown: 1 }).delayMany(calls);
      await rig.seen('connection:retry', 2);
      await proxy.accept();
      const direct = rigOf();
      await holds(direct, queue, 1_200);
    } finally {
      await relay.stop();
      await rig.stop();
      await proxy.stop();
    }
  });

  it('commits what failed while the database was away, and brings it back', async () => {
    const proxy = await TcpProxy.start(serverUrl('LOVAGE_RESULTS'));
    const rig = rigOf({ resultsUrl: proxy.url });
    try {
      await rig.worker.start();
      await proxy.refuse();
      const ids = ['a', 'b', 'c'].map((id) => `${id}-${queue}`);
      await rig.publish(...ids.map((id) => messageOf('flaky', { id, queue }, [1])));
      await rig.seen('warning');
      expect(rig.of('task:retried')).toEqual([]);
      await proxy.accept();
      await rig.seen('task:succeeded', 3);
      for (const id of ids) {
        await expect(recordOf(rig, id)).resolves.toMatchObject({ state: 'SUCCESS', retries: 1, attempt: 1 });
      }
      await rig.worker.stop();
      await holds(rig, queue, 0);
    } finally {
      await rig.stop();
      await proxy.stop();
    }
  });
});
