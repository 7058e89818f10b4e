import { randomBytes } from 'node:crypto';
import { Task, TaskContext, deadQueueOf, lostQueueOf, type AppOptions, type TaskRecord } from '@lovage/core';
import { connect, type ChannelModel } from 'amqplib';
import { Client } from 'pg';
import { TcpProxy } from '../../../test/support/tcp-proxy.js';
import { eventually } from '../../../test/support/eventually.js';
import { Gated } from '../test/gated-task.js';
import { Rig, messageOf } from '../test/rig.js';

jest.setTimeout(30_000);

let runs: string[] = [];

@Task({ name: 'plain' })
class Plain {
  run(): string {
    runs.push(TaskContext.current().id);
    return 'done';
  }
}

@Task({ name: 'quiet', ignoreResult: true })
class Quiet {
  run(): void {
    runs.push(TaskContext.current().id);
  }
}

@Task({ name: 'flaky', retry: { max: 3, backoff: '1h' } })
class Flaky {
  run(): never {
    runs.push(TaskContext.current().id);
    throw new RangeError('not yet');
  }
}

@Task({ name: 'heeds', retry: { max: 3, backoff: 1 } })
class Heeds {
  static heard: unknown[] = [];

  run(): Promise<never> {
    const { signal, id } = TaskContext.current();
    runs.push(id);
    return new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => {
        Heeds.heard.push(signal.reason);
        reject(signal.reason as Error);
      });
    });
  }

  onRetry(): void {
    Heeds.heard.push('onRetry');
  }

  onFailure(): void {
    Heeds.heard.push('onFailure');
  }
}

const TASKS = [Plain, Quiet, Flaky, Heeds, Gated];
const schema = `revoke_${randomBytes(6).toString('hex')}`;

/** A server that `npm run services` provides. */
function serverUrl(name: 'LOVAGE_BROKER' | 'LOVAGE_RESULTS'): string {
  const url = process.env[name];
  if (url === undefined) throw new TypeError(`expected ${name} to be set: run the tests with \`npm test\``);
  return url;
}

let database: Client;
let broker: ChannelModel;
let queue: string;
const rigs: Rig[] = [];
const proxies: TcpProxy[] = [];

type Place = 'memory' | 'RabbitMQ' | 'PostgreSQL alone';

function rigOf(
  place: Place,
  app: AppOptions = {},
  options: { readonly concurrency?: number; readonly beside?: Rig } = {},
): Rig {
  const results = { url: serverUrl('LOVAGE_RESULTS'), schema };
  const services: Record<Place, AppOptions> = {
    memory: {},
    RabbitMQ: { broker: serverUrl('LOVAGE_BROKER'), results },
    'PostgreSQL alone': { broker: results, results },
  };
  const { concurrency = 10, beside } = options;
  const rig = new Rig({
    tasks: TASKS,
    worker: { concurrency },
    ...(beside && { beside }),
    app: { ...services[place], defaultQueue: queue, revocations: { grace: 50 }, ...app },
  });
  rigs.push(rig);
  return rig;
}

async function recordOf(rig: Rig, id: string): Promise<TaskRecord | undefined> {
  return rig.app.results.get(id);
}

async function declare(rig: Rig): Promise<void> {
  await (await rig.transport()).declare([{ name: queue, type: 'quorum', maxPriority: null, declare: true }]);
}

/** Resolves once the worker knows all that has been revoked until now. */
async function known(rig: Rig): Promise<void> {
  const { id, revoke } = await begun(rig);
  await revoke();
  await rig.until(() => rig.of('task:revoked').some(({ request }) => request.id === id));
}

/** A task that runs until it is revoked. */
async function begun(rig: Rig): Promise<{ readonly id: string; revoke(): Promise<unknown> }> {
  const result = await rig.app.task(Heeds).delay();
  await eventually(() => expect(runs).toContain(result.id));
  return { id: result.id, revoke: () => result.revoke({ terminate: true }) };
}

beforeAll(async () => {
  queue = 'unused';
  database = new Client({ connectionString: serverUrl('LOVAGE_RESULTS') });
  [broker] = await Promise.all([connect(serverUrl('LOVAGE_BROKER')), database.connect()]);
  await (await rigOf('RabbitMQ').app.resultBackend())?.capabilities.schema?.migrate();
});
beforeEach(() => {
  [Gated.runs, Heeds.heard, runs] = [[], [], []];
  queue = `revoke-${randomBytes(6).toString('hex')}`;
});
afterEach(async () => {
  Gated.release();
  await Promise.all(rigs.splice(0).map((rig) => rig.stop()));
  await Promise.all(proxies.splice(0).map((proxy) => proxy.stop()));
  const channel = await broker.createChannel();
  for (const name of [queue, lostQueueOf(queue), deadQueueOf(queue)]) await channel.deleteQueue(name);
  await channel.close();
  await database.query(`TRUNCATE ${schema}.outbox, ${schema}.queues, ${schema}.consumers, ${schema}.unique_keys`);
});
afterAll(async () => {
  await database.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  await Promise.all([database.end(), broker.close()]);
});

const REVOKED = { code: 'LOVAGE_TASK_REVOKED' };

describe.each<Place>(['memory', 'RabbitMQ', 'PostgreSQL alone'])('a task that is revoked, on %s', (place) => {
  it('while it is queued is not run, and its caller is told at once', async () => {
    const rig = rigOf(place);
    await declare(rig);
    const results = await rig.app.task(Plain).delayMany([[], []]);
    const [revoked, kept] = results as [(typeof results)[0], (typeof results)[0]];
    const waiting = revoked.get({ timeout: '10s' });
    expect(await revoked.revoke({ reason: 'a change of mind' })).toBe(true);
    await expect(waiting).rejects.toMatchObject(REVOKED);
    await rig.worker.start();
    await expect(kept.get({ timeout: '10s' })).resolves.toBe('done');
    await eventually(async () => expect(await rig.ready()).toBe(0));
    await rig.worker.stop();
    expect(runs).toEqual([kept.id]);
    const record = await recordOf(rig, revoked.id);
    expect(record).toMatchObject({ state: 'REVOKED', error: { message: 'a change of mind' } });
    // Of what was taken from its queue by the revocation, no worker tells anything.
    if (place === 'PostgreSQL alone') return;
    expect(record).toMatchObject({ task: 'plain', queue, args: [] });
    expect(rig.of('task:revoked')).toMatchObject([{ request: { id: revoked.id }, reason: 'a change of mind' }]);
  });

  it('while it waits for a slot has ended at once', async () => {
    const rig = rigOf(place, {}, { concurrency: 1 });
    await rig.worker.start();
    const first = await begun(rig);
    const second = await rig.app.task(Plain).delay();
    await rig.seen('task:received', 2);
    await second.revoke();
    expect(await rig.seen('task:revoked')).toMatchObject([{ request: { id: second.id } }]);
    await first.revoke();
    await rig.seen('task:revoked', 2);
    await rig.worker.stop();
    expect(runs).toEqual([first.id]);
    expect(await rig.ready()).toBe(0);
  });

  it('while it waits for its time, or for a retry, is taken out', async () => {
    const rig = rigOf(place);
    await rig.worker.start();
    const later = await rig.app.task(Plain).with({ countdown: '1h' }).delay();
    const again = await rig.app.task(Flaky).delay();
    await rig.seen('task:retried');
    expect(await rig.app.revoke([later.id, again.id])).toEqual([
      { id: later.id, state: 'REVOKED' },
      { id: again.id, state: 'REVOKED' },
    ]);
    expect(await rig.app.scheduled.list({ ids: [later.id, again.id] })).toEqual([]);
    for (const { id } of [later, again]) expect(await recordOf(rig, id)).toMatchObject({ state: 'REVOKED', args: [] });
    expect(runs).toEqual([again.id]);
  });

  it('while it runs may go on to its end, which counts for nothing', async () => {
    const rig = rigOf(place);
    await rig.worker.start();
    const result = await rig.app.task(Gated).delay();
    await Gated.running(1);
    const { gate, signal } = Gated.run(0);
    expect(signal().aborted).toBe(false);
    await expect(result.revoke()).resolves.toBe(true);
    await expect(result.get({ timeout: '10s' })).rejects.toMatchObject(REVOKED);
    gate.resolve('too late');
    await eventually(() => expect(rig.worker.running).toBe(0));
    await rig.worker.stop();
    expect(signal().aborted).toBe(false);
    expect(await recordOf(rig, result.id)).toMatchObject({ state: 'REVOKED', result: null });
    expect(rig.of('task:succeeded')).toEqual([]);
    expect(await rig.ready()).toBe(0);
  });

  it('while it runs, with terminate, hears of it and ends', async () => {
    const rig = rigOf(place);
    await rig.worker.start();
    const result = await rig.app.task(Heeds).delay();
    await eventually(() => expect(runs).toEqual([result.id]));
    await result.revoke({ terminate: true, reason: 'enough' });
    expect(await rig.seen('task:revoked')).toMatchObject([{ reason: 'enough' }]);
    expect(Heeds.heard).toMatchObject([
      { ...REVOKED, message: expect.stringMatching(/ was revoked: enough$/) as string },
    ]);
    expect(await recordOf(rig, result.id)).toMatchObject({ state: 'REVOKED', error: { message: 'enough' } });
    // Neither handed back nor retried.
    await rig.worker.stop();
    expect(await rig.ready()).toBe(0);
    expect(runs).toEqual([result.id]);
    expect([...rig.of('task:retried'), ...rig.of('task:failed')]).toEqual([]);
    expect(await rig.app.scheduled.list({ ids: [result.id] })).toEqual([]);
  });

  it('while it runs, with terminate, is given up after the grace if it does not heed it', async () => {
    const rig = rigOf(place, {}, { concurrency: 1 });
    await rig.worker.start();
    const deaf = await rig.app.task(Gated).delay();
    await Gated.running(1);
    const next = await rig.app.task(Plain).delay();
    await deaf.revoke({ terminate: true });
    await expect(next.get({ timeout: '10s' })).resolves.toBe('done');
    expect(rig.worker.strays).toBe(1);
    expect(rig.of('task:revoked')).toMatchObject([{ request: { id: deaf.id }, reason: 'on request' }]);
    Gated.run(0).gate.resolve('too late');
    await eventually(() => expect(rig.worker.strays).toBe(0));
    expect(await recordOf(rig, deaf.id)).toMatchObject({ state: 'REVOKED', result: null });
    expect(await rig.worker.stop()).toMatchObject({ abandoned: 0, returned: 0 });
    expect(await rig.ready()).toBe(0);
  });

  it('first without terminate and then with it, is stopped', async () => {
    const rig = rigOf(place);
    await rig.worker.start();
    const result = await rig.app.task(Heeds).delay();
    await eventually(() => expect(runs).toEqual([result.id]));
    expect(await result.revoke({ reason: 'first' })).toBe(true);
    expect(await result.revoke({ reason: 'second', terminate: true })).toBe(true);
    await rig.seen('task:revoked');
    expect(Heeds.heard).toHaveLength(1);
    expect(await recordOf(rig, result.id)).toMatchObject({ state: 'REVOKED', error: { message: 'first' } });
  });

  it('before its message comes is not run, whatever it leaves behind', async () => {
    const rig = rigOf(place);
    await rig.worker.start();
    const ids = ['early', 'silent'].map((name) => `${name}-${queue}`) as [string, string];
    expect(await rig.app.revoke(ids)).toEqual(ids.map((id) => ({ id, state: 'REVOKED' })));
    await known(rig);
    runs = [];
    await rig.publish(
      messageOf('plain', { id: ids[0], rootId: 'root', queue }, []),
      messageOf('quiet', { id: ids[1], queue, ignoreResult: true }),
    );
    await rig.seen('task:revoked', 3);
    expect(await recordOf(rig, ids[0])).toMatchObject({ state: 'REVOKED', task: 'plain', rootId: 'root', args: [] });
    expect(await recordOf(rig, ids[1])).toMatchObject({ state: 'REVOKED', task: 'quiet' });
    expect(runs).toEqual([]);
  });

  it('is known to a worker that starts later', async () => {
    const rig = rigOf(place);
    await declare(rig);
    const id = `before-${queue}`;
    await rig.app.revoke([id]);
    const other = rigOf(place, {}, { beside: rig });
    await other.worker.start();
    await other.publish(messageOf('plain', { id, queue }));
    await other.seen('task:revoked');
    expect(runs).toEqual([]);
  });

  it('after its end keeps it, and says so', async () => {
    const rig = rigOf(place);
    await rig.worker.start();
    const result = await rig.app.task(Plain).delay();
    await result.get({ timeout: '10s' });
    expect(await result.revoke({ terminate: true })).toBe(false);
    expect(await rig.app.revoke([result.id])).toEqual([{ id: result.id, state: 'SUCCESS' }]);
    await expect(result.get()).resolves.toBe('done');
  });

  it('is one of 1,000 at once', async () => {
    const rig = rigOf(place);
    await declare(rig);
    const results = await rig.app.task(Plain).delayMany(Array.from({ length: 1_050 }, () => []));
    const ids = results.map(({ id }) => id);
    const begun = performance.now();
    const ends = await rig.app.revoke(ids.slice(0, 1_000));
    const tookMs = performance.now() - begun;
    expect(ends).toEqual(ids.slice(0, 1_000).map((id) => ({ id, state: 'REVOKED' })));
    await rig.worker.start();
    await Promise.all(results.slice(1_000).map((result) => result.get({ timeout: '20s' })));
    await eventually(async () => expect(await rig.ready()).toBe(0));
    await rig.worker.stop();
    expect([...runs].sort()).toEqual(ids.slice(1_000).sort());
    if (process.env['SHOW'] === '1') console.info(`${place}: 1,000 revoked in ${tookMs.toFixed(0)} ms`);
  });
});

describe('a worker that is not told of a revocation', () => {
  it('reads of it within a second or so', async () => {
    const proxy = await TcpProxy.start(serverUrl('LOVAGE_RESULTS'));
    proxies.push(proxy);
    const results = { url: serverUrl('LOVAGE_RESULTS'), schema, listenUrl: proxy.url };
    const rig = rigOf('RabbitMQ', { results });
    await rig.worker.start();
    await eventually(() => expect(proxy.connections).toBe(1));
    await proxy.refuse();
    const caller = rigOf('RabbitMQ');
    const result = await caller.app.task(Heeds).delay();
    await eventually(() => expect(runs).toEqual([result.id]));
    const begun = performance.now();
    await result.revoke({ terminate: true });
    await rig.seen('task:revoked');
    expect(performance.now() - begun).toBeLessThan(3_000);
  });

  it('reads of one too that was committed half a minute late, whatever its own clock says', async () => {
    const rig = rigOf('RabbitMQ');
    rig.runtime.advance(-3_600_000);
    await rig.worker.start();
    await known(rig);
    const { id } = await begun(rig);
    await database.query(`INSERT INTO ${schema}.revocations VALUES ($1, true, 'late', now() - interval '30 seconds')`, [
      id,
    ]);
    await rig.until(() => Heeds.heard.length === 2);
    expect(Heeds.heard[1]).toMatchObject(REVOKED);
  });

  it('has missed none once the database is back', async () => {
    const proxy = await TcpProxy.start(serverUrl('LOVAGE_RESULTS'));
    proxies.push(proxy);
    const rig = rigOf('RabbitMQ', { results: { url: proxy.url, schema, connectTimeout: '1s' } });
    await rig.worker.start();
    const caller = rigOf('RabbitMQ');
    const result = await caller.app.task(Heeds).delay();
    await eventually(() => expect(runs).toEqual([result.id]));
    await proxy.refuse();
    await rig.seen('connection:lost');
    await result.revoke({ terminate: true });
    await proxy.accept();
    await rig.seen('task:revoked');
    expect(Heeds.heard).toHaveLength(1);
  });
});

describe('a message that a relay has claimed', () => {
  it('is sent, and not run', async () => {
    const rig = rigOf('RabbitMQ');
    await declare(rig);
    const result = await rig.app.task(Plain).with({ countdown: 0 }).delay();
    const outbox = (await rig.app.connectResults())?.capabilities.outbox;
    const { messages = [] } = (await outbox?.claim(10)) ?? {};
    const own = messages.filter(({ taskId }) => taskId === result.id);
    expect(own).toHaveLength(1);
    expect(await result.revoke()).toBe(true);
    await rig.publish(...own.map(({ message }) => message));
    await outbox?.remove(own.map(({ rowId }) => rowId));
    await rig.worker.start();
    await rig.seen('task:revoked');
    expect(runs).toEqual([]);
  });
});
