import { randomBytes } from 'node:crypto';
import { Task, TaskContext, deadQueueOf, lostQueueOf, type AppOptions, type TaskClass } from '@lovage/core';
import { connect } from 'amqplib';
import { Client } from 'pg';
import { Gated } from '../test/gated-task.js';
import { Rig, messageOf } from '../test/rig.js';
import { Relay } from './relay/relay.js';
import type { WorkerOptions } from './worker-options.js';

jest.setTimeout(30_000);

/** Runs, in order: the task's id and its attempt. */
let runs: string[] = [];

function ran(): void {
  const { id, attempt } = TaskContext.current();
  runs.push(`${id} ${attempt}`);
}

@Task({ name: 'divide' })
class Divide {
  run(x: number, y: number): number {
    ran();
    return x / y;
  }
}

@Task({ name: 'flaky', retry: { max: 2, backoff: 50, jitter: false } })
class Flaky {
  run(failures: number): string {
    ran();
    if (TaskContext.current().retries < failures) throw new RangeError('not yet');
    return 'done';
  }
}

@Task({ name: 'asks' })
class Asks {
  run(): string {
    ran();
    const context = TaskContext.current();
    if (context.retries === 0) context.retry({ countdown: 0 });
    return 'there';
  }
}

const schema = `worker_${randomBytes(6).toString('hex')}`;
const rigs: Rig[] = [];
let queue: string;
let database: Client;

/** A server that `npm run services` provides. */
function serverUrl(name: 'LOVAGE_BROKER' | 'LOVAGE_RESULTS'): string {
  const url = process.env[name];
  if (url === undefined) throw new TypeError(`expected ${name} to be set: run the tests with \`npm test\``);
  return url;
}

/** Broker and results are one schema, unless told otherwise. */
function rigOf(
  options: { readonly app?: AppOptions; readonly worker?: WorkerOptions; readonly tasks?: readonly TaskClass[] } = {},
): Rig {
  const url = serverUrl('LOVAGE_RESULTS');
  const rig = new Rig({
    tasks: options.tasks ?? [Divide, Gated, Flaky, Asks],
    app: { broker: { url, schema }, results: { url, schema }, defaultQueue: queue, ...options.app },
    ...(options.worker && { worker: options.worker }),
  });
  rigs.push(rig);
  return rig;
}

async function started(options: Parameters<typeof rigOf>[0] = {}): Promise<Rig> {
  const rig = rigOf(options);
  await rig.worker.start();
  return rig;
}

/** What is in the table, of all queues: due or not, held or not. */
async function rows(): Promise<readonly { readonly queue: string; readonly deliveries: number }[]> {
  const { rows: found } = await database.query<{ queue: string; deliveries: number }>(
    `SELECT queue, deliveries FROM ${schema}.outbox ORDER BY due_at`,
  );
  return found;
}

async function recordOf(rig: Rig, id: string) {
  return (await rig.app.results.find({ ids: [id] }))[0];
}

/** Waits for the table to say so; the test's own time limit is the deadline. */
async function eventually(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition()));
}

async function declare(rig: Rig): Promise<void> {
  await (await rig.transport()).declare([{ name: queue, type: 'quorum', maxPriority: null, declare: true }]);
}

beforeAll(async () => {
  database = new Client({ connectionString: serverUrl('LOVAGE_RESULTS') });
  await database.connect();
  queue = 'unused';
  const migrator = rigOf();
  await (await migrator.app.resultBackend())?.capabilities.schema?.migrate();
});
beforeEach(() => {
  Gated.runs = [];
  runs = [];
  queue = `worker-${randomBytes(6).toString('hex')}`;
});
afterEach(async () => {
  Gated.release();
  await Promise.all(rigs.splice(0).map((rig) => rig.stop()));
  await database.query(`TRUNCATE ${schema}.outbox, ${schema}.queues, ${schema}.consumers, ${schema}.unique_keys`);
});
afterAll(async () => {
  await database.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  await database.end();
});

describe('a worker whose queue is the outbox', () => {
  it('runs, stores and removes', async () => {
    const rig = await started();
    const results = await rig.app.task(Divide).delayMany([
      [1, 2],
      [3, 4],
    ]);
    await expect(Promise.all(results.map((result) => result.get({ timeout: '10s' })))).resolves.toEqual([0.5, 0.75]);
    await rig.worker.stop();
    expect(await rows()).toEqual([]);
  });

  it('runs what waits when it is due, within 100 ms', async () => {
    const rig = await started();
    const late: number[] = [];
    for (let round = 0; round < 5; round += 1) {
      const begun = Date.now();
      const result = await rig.app.task(Divide).with({ countdown: 200 }).delay(1, 2);
      expect(await result.get({ timeout: '10s' })).toBe(0.5);
      const record = await recordOf(rig, result.id);
      late.push((record?.startedAt?.getTime() ?? Infinity) - begun - 200);
    }
    expect(Math.min(...late)).toBeGreaterThanOrEqual(-2);
    // The machine may be busy for one of them.
    expect([...late].sort((a, b) => a - b)[2]).toBeLessThan(100);
    await rig.worker.stop();
    expect(await rows()).toEqual([]);
    expect(runs).toHaveLength(5);
  });

  it('runs what another process has scheduled, by eta and by countdown', async () => {
    const rig = await started();
    const caller = rigOf();
    const calls = [
      await caller.app
        .task(Divide)
        .with({ eta: new Date(Date.now() + 1_200) })
        .delay(1, 1),
      await caller.app.task(Divide).with({ countdown: 300 }).delay(2, 1),
      await caller.app
        .task(Divide)
        .with({ eta: new Date(0) })
        .delay(3, 1),
    ];
    await expect(Promise.all(calls.map((call) => call.get({ timeout: '10s' })))).resolves.toEqual([1, 2, 3]);
    expect(runs).toEqual([calls[2], calls[1], calls[0]].map((call) => `${call?.id} 0`));
    await rig.worker.stop();
    expect(await rows()).toEqual([]);
  });

  it('brings back what failed, and what asks for it at once', async () => {
    const rig = await started();
    const begun = performance.now();
    const flaky = await rig.app.task(Flaky).delayMany([[1], [2], [3]]);
    const asks = await rig.app.task(Asks).delay();
    await expect(asks.get({ timeout: '10s' })).resolves.toBe('there');
    await rig.seen('task:failed');
    await rig.seen('task:succeeded', 3);
    // A row that is born leased is not seen for 15 s.
    expect(performance.now() - begun).toBeLessThan(3_000);
    const records = await Promise.all([...flaky, asks].map(({ id }) => recordOf(rig, id)));
    expect(records.map((record) => [record?.state, record?.retries, record?.attempt])).toEqual([
      ['SUCCESS', 1, 1],
      ['SUCCESS', 2, 2],
      ['FAILURE', 2, 2],
      ['SUCCESS', 1, 1],
    ]);
    expect(new Set(runs).size).toBe(runs.length);
    expect(runs).toHaveLength(2 + 3 + 3 + 2);
    expect(rig.of('task:duplicate')).toEqual([]);
    await rig.worker.stop();
    expect(await rows()).toEqual([]);
  });

  it('runs what is called in a transaction if it commits, and not before', async () => {
    const rig = await started();
    await database.query('BEGIN');
    const task = rig.app.task(Divide).with({ tx: database });
    const result = await task.delay(1, 2);
    const other = await rig.app.task(Divide).delay(3, 4);
    await other.get({ timeout: '10s' });
    expect(runs).toEqual([`${other.id} 0`]);
    await database.query('COMMIT');
    await expect(result.get({ timeout: '10s' })).resolves.toBe(0.5);
    await database.query('BEGIN');
    const undone = await task.delay(5, 6);
    await database.query('ROLLBACK');
    const last = await rig.app.task(Divide).delay(7, 8);
    await last.get({ timeout: '10s' });
    expect(runs).toEqual([`${other.id} 0`, `${result.id} 0`, `${last.id} 0`]);
    expect(await recordOf(rig, undone.id)).toBeUndefined();
    await rig.worker.stop();
    expect(await rows()).toEqual([]);
  });

  it('runs what is tracked, and one of those with one key', async () => {
    const rig = rigOf();
    await declare(rig);
    const tracked = await rig.app.task(Divide).with({ track: true }).delay(1, 2);
    expect(await recordOf(rig, tracked.id)).toMatchObject({ state: 'PENDING' });
    const unique = rig.app.task(Divide).with({ unique: { key: queue, scope: 'running', ttl: '1h' } });
    const [one, two] = [await unique.delay(3, 4), await unique.delay(3, 4)];
    expect(two.id).toBe(one.id);
    expect((await rows()).map(({ deliveries }) => deliveries)).toEqual([0, 0]);
    await rig.worker.start();
    await expect(Promise.all([tracked, one].map((each) => each.get({ timeout: '10s' })))).resolves.toEqual([0.5, 0.75]);
    expect(runs).toEqual([`${tracked.id} 0`, `${one.id} 0`]);
    expect((await unique.delay(3, 4)).id).not.toBe(one.id);
    await rig.seen('task:succeeded', 3);
    await rig.worker.stop();
    expect(await rows()).toEqual([]);
  });

  it('keeps an unknown task for a worker that knows it', async () => {
    const old = await started({ tasks: [Gated] });
    await old.publish(messageOf('divide', { id: `new-${queue}`, queue }, [1, 2]));
    await old.seen('task:postponed');
    await old.worker.stop();
    const deployed = await started();
    await deployed.seen('task:succeeded');
    await expect(recordOf(deployed, `new-${queue}`)).resolves.toMatchObject({ state: 'SUCCESS', retries: 0 });
    await deployed.worker.stop();
    expect(await rows()).toEqual([]);
  });

  it('lists what waits, and cancels it until it is taken', async () => {
    const rig = await started();
    const eta = new Date('2126-11-24T10:00:00Z');
    const [one, two] = await rig.app
      .task(Divide)
      .with({ eta })
      .delayMany([
        [1, 2],
        [3, 4],
      ]);
    const gated = await rig.app.task(Gated).with({ countdown: 1 }).delay();
    await Gated.running(1);
    const listed = await rig.app.scheduled.list({ task: 'divide' });
    expect(listed.map(({ id, eta: due }) => [id, due])).toEqual([
      [one?.id, eta],
      [two?.id, eta],
    ]);
    expect(await rig.app.scheduled.cancel(`${one?.id}`)).toBe(true);
    expect(await rig.app.scheduled.cancel(gated.id)).toBe(false);
    expect((await rig.app.scheduled.list()).map(({ id }) => id)).toEqual([two?.id]);
    Gated.run(0).gate.resolve('ran');
    await expect(gated.get({ timeout: '10s' })).resolves.toBe('ran');
    await expect(recordOf(rig, `${one?.id}`)).resolves.toMatchObject({ state: 'REVOKED' });
    await rig.worker.stop();
    expect(await rows()).toHaveLength(1);
  });

  it('hands back what has not started when it stops, and leaves nothing leased', async () => {
    const first = await started({ worker: { concurrency: 1, prefetch: 5 } });
    const calls = await first.app.task(Gated).delayMany(Array.from({ length: 5 }, () => []));
    await first.seen('task:received', 5);
    const stopping = first.worker.stop();
    Gated.run(0).gate.resolve('done');
    await expect(stopping).resolves.toEqual({ finished: 1, abandoned: 0, returned: 4, strays: 0 });
    expect(await first.ready(queue)).toBe(4);
    expect(await rows()).toHaveLength(4);
    const { rows: consumers } = await database.query(`SELECT FROM ${schema}.consumers`);
    expect(consumers).toEqual([]);
    const second = await started();
    await Gated.running(5);
    expect(Gated.runs.map(({ id }) => id)).toEqual(calls.map(({ id }) => id));
    for (const { gate } of Gated.runs) gate.resolve('done');
    await second.seen('task:succeeded', 4);
    await second.worker.stop();
    expect(await rows()).toEqual([]);
  });

  it('ends what nobody ended a thousand times', async () => {
    const rig = rigOf();
    await declare(rig);
    await rig.publish(messageOf('divide', { id: `poison-${queue}`, queue }, [1, 2]));
    await database.query(`UPDATE ${schema}.outbox SET deliveries = 1000, priority = 256`);
    await rig.worker.start();
    await rig.seen('message:dead');
    await expect(recordOf(rig, `poison-${queue}`)).resolves.toMatchObject({
      state: 'FAILURE',
      error: { code: 'LOVAGE_MESSAGE_LOST' },
    });
    const [letter] = await rig.takeDead(1);
    expect(letter?.headers).toMatchObject({ id: `poison-${queue}`, 'x-lovage-queue': queue });
    await rig.worker.stop();
    expect(runs).toEqual([]);
    expect(await rows()).toEqual([]);
  });
});

describe('a relay beside a broker in PostgreSQL', () => {
  it('of the same table says so, and touches nothing', async () => {
    const rig = rigOf();
    await declare(rig);
    await rig.app.task(Divide).delay(1, 2);
    await rig.app.task(Divide).with({ countdown: 1 }).delay(3, 4);
    await using relay = new Relay(rig.app);
    await relay.start();
    const [warning] = await rig.seen('warning');
    expect(warning?.message).toContain('the outbox is the queue itself');
    await relay.stop();
    expect((await rows()).map(({ deliveries }) => deliveries)).toEqual([0, 0]);
  });

  it('of another schema runs in each worker, and sends', async () => {
    const other = `${schema}_other`;
    const app: AppOptions = { broker: { url: serverUrl('LOVAGE_RESULTS'), schema: other } };
    try {
      const migrator = rigOf({ app });
      await (await migrator.app.transport()).capabilities.schema?.migrate();
      const rig = await started({ app });
      const later = await rig.app.task(Divide).with({ countdown: 100 }).delay(1, 2);
      const asks = await rig.app.task(Asks).delay();
      await expect(later.get({ timeout: '10s' })).resolves.toBe(0.5);
      await expect(asks.get({ timeout: '10s' })).resolves.toBe('there');
      expect(new Set(runs).size).toBe(3);
      await eventually(async () => (await rows()).length === 0);
      await rig.worker.stop();
      const { rows: left } = await database.query(`SELECT FROM ${other}.outbox`);
      expect(left).toEqual([]);
    } finally {
      await Promise.all(rigs.splice(0).map((rig) => rig.stop()));
      await database.query(`DROP SCHEMA IF EXISTS ${other} CASCADE`);
    }
  });

  it('moves the queues to RabbitMQ, once that is the broker', async () => {
    const before = rigOf();
    await declare(before);
    const calls = await before.app.task(Divide).delayMany([
      [1, 2],
      [3, 4],
    ]);
    await before.publish(messageOf('divide', { id: `dead-${queue}`, queue: deadQueueOf(queue) }));
    await before.publish(messageOf('divide', { id: `lost-${queue}`, queue: lostQueueOf(queue) }));
    await before.stop();

    const after = rigOf({ app: { broker: serverUrl('LOVAGE_BROKER') } });
    const amqp = await connect(serverUrl('LOVAGE_BROKER'));
    try {
      await using relay = new Relay(after.app);
      await relay.start();
      await eventually(async () => (await rows()).length === 0);
      const inspect = (await after.transport()).capabilities.inspect;
      const sides = [queue, deadQueueOf(queue), lostQueueOf(queue)];
      await eventually(async () => {
        const depths = (await inspect?.depths(sides)) ?? [];
        return depths.every((depth, index) => depth?.messages === (index === 0 ? 2 : 1));
      });
      // Sides have none of their own.
      expect(await inspect?.depths(sides.slice(1).flatMap((side) => [deadQueueOf(side), lostQueueOf(side)]))).toEqual([
        null,
        null,
        null,
        null,
      ]);
      await relay.stop();
      await after.worker.start();
      await expect(Promise.all(calls.map(({ id }) => after.app.result(id).get({ timeout: '10s' })))).resolves.toEqual([
        0.5, 0.75,
      ]);
      const [letter] = await after.takeDead(1);
      expect(letter?.headers).toMatchObject({ id: expect.stringMatching(/^(dead|lost)-/) as string });
    } finally {
      await after.stop();
      const channel = await amqp.createChannel();
      for (const name of [queue, lostQueueOf(queue), deadQueueOf(queue)]) await channel.deleteQueue(name);
      await amqp.close();
    }
  });
});
