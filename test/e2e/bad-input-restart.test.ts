import { connect } from 'amqplib';
import { Lovage } from 'lovage';
import { Client } from 'pg';
import { eventually } from '../support/eventually.js';
import { type WorkerProcess, runLovage, startWorker } from '../support/lovage-process.js';
import { type Rabbit, privateBroker } from '../support/private-broker.js';
import { type Postgres, privateResults } from '../support/private-results.js';
import { APP, QUEUE } from './bad-input/scene.js';
import type { Vitals } from './bad-input/tasks.js';

jest.setTimeout(90_000);

let broker: Rabbit;
let results: Postgres;
let app: Lovage;
const workers = new Set<WorkerProcess>();

const env = (): NodeJS.ProcessEnv => ({ LOVAGE_BROKER: broker.url, LOVAGE_RESULTS: results.url });
/** Of the tasks with one name, how many ended how. */
type Tally = Readonly<Record<string, number>>;

beforeAll(async () => {
  [broker, results] = await Promise.all([privateBroker(), privateResults()]);
  expect(await runLovage(['migrate', '-A', APP], { env: env() })).toMatchObject({ code: 0, stderr: '' });
  app = new Lovage({ name: 'caller', broker: broker.url, results: results.url });
});
afterEach(async () => {
  await Promise.all([...workers].map((worker) => worker.kill()));
  workers.clear();
});
afterAll(async () => {
  await app?.stop();
  await Promise.all([broker?.stop(), results?.stop()]);
});

async function worker(...args: readonly string[]): Promise<WorkerProcess> {
  const started = await startWorker(['-A', APP, ...args], { env: env() });
  workers.add(started);
  return started;
}

async function query<Row extends object>(text: string, values: readonly unknown[]): Promise<readonly Row[]> {
  const client = new Client({ connectionString: results.url });
  // What the server says when it dies is not this client's fault.
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query<Row>(text, [...values])).rows;
  } finally {
    await client.end();
  }
}

async function statesOf(ids: readonly string[]): Promise<Tally> {
  const rows = await query<{ readonly state: string; readonly count: number }>(
    'SELECT state, count(*)::int AS count FROM lovage.task_results WHERE id = ANY($1) GROUP BY state',
    [ids],
  );
  return Object.fromEntries(rows.map(({ state, count }) => [state, count]));
}

/** How many messages wait in the queue. What a consumer holds is not among them. */
async function waiting(): Promise<number> {
  const connection = await connect(broker.url);
  try {
    return (await (await connection.createChannel()).checkQueue(QUEUE)).messageCount;
  } finally {
    await connection.close();
  }
}

async function send(count: number, ms: number): Promise<readonly string[]> {
  const sent = await app
    .task<[number], number>('bad.wait')
    .delayMany(Array.from({ length: count }, () => [ms] as const));
  return sent.map(({ id }) => id);
}

async function pidOf(): Promise<number> {
  return (await (await app.task<[], Vitals>('bad.vitals').delay()).get({ timeout: '60s' })).pid;
}

describe('a worker whose servers die under it', () => {
  it('goes on by itself, and loses nothing', async () => {
    const survivor = await worker('--concurrency', '20');
    const ids = [...(await send(600, 20))];

    await eventually(async () => expect((await statesOf(ids))['SUCCESS']).toBeGreaterThan(50), { timeoutMs: 20_000 });
    await results.kill();
    await eventually(() => expect(survivor.log.map(({ event }) => event)).toContain('connection:lost'));
    await results.start();
    await eventually(async () => expect((await statesOf(ids))['SUCCESS']).toBeGreaterThan(150), { timeoutMs: 20_000 });

    // In order: killed in the middle of writing, RabbitMQ 3.10 at times elects no leader for a quorum queue ever again.
    await broker.ctl('stop_app');
    await broker.ctl('start_app');
    ids.push(...(await send(50, 1)));
    await eventually(async () => expect(await statesOf(ids)).toEqual({ SUCCESS: ids.length }), { timeoutMs: 40_000 });

    expect(await pidOf()).toBe(survivor.pid);
    expect(await survivor.stop()).toBe(0);
    expect(await waiting()).toBe(0);
    const errors = survivor.log.filter(({ level }) => level === 'error' || level === 'raw');
    expect(errors.filter(({ event }) => event !== 'connection:lost')).toEqual([]);
    for (const { password } of [new URL(broker.url), new URL(results.url)])
      expect(JSON.stringify(survivor.log)).not.toContain(`:${password}@`);
  });
});

describe('SIGTERM', () => {
  it('lets running tasks end, and hands back what was only fetched', async () => {
    const stopped = await worker('--concurrency', '5', '--prefetch', '20');
    const ids = await send(30, 1_000);
    await eventually(() => expect(received(stopped)).toBe(20));
    expect(await stopped.stop()).toBe(0);
    expect(await statesOf(ids)).toEqual({ SUCCESS: 5 });
    expect(await waiting()).toBe(25);

    const next = await worker('--concurrency', '30');
    await eventually(async () => expect(await statesOf(ids)).toEqual({ SUCCESS: 30 }), { timeoutMs: 20_000 });
    expect(await next.stop()).toBe(0);
    expect(await waiting()).toBe(0);
  });

  it('does not wait beyond the deadline for a task that never ends, which runs again elsewhere', async () => {
    const stopped = await worker('--shutdown-timeout', '1s');
    const { id } = await app.task('bad.never').delay();
    const [done] = await send(1, 1);
    await eventually(async () => expect(await statesOf([id, done ?? ''])).toEqual({ SUCCESS: 1 }));
    await eventually(() => expect(received(stopped)).toBe(2));
    const stoppedAt = Date.now();
    expect(await stopped.stop()).toBe(7);
    expect(Date.now() - stoppedAt).toBeLessThan(4_000);
    expect(await statesOf([id])).toEqual({});
    expect(await waiting()).toBe(1);
    await expect(app.result(id).get({ timeout: 100 })).rejects.toMatchObject({ code: 'LOVAGE_RESULT_TIMEOUT' });
    await purge();
  });
});

describe('a task that ends its own process', () => {
  it('takes it down, and its message and those of its neighbours are there for the next', async () => {
    const first = await worker('--concurrency', '10');
    const ids = await send(9, 20_000);
    await eventually(() => expect(received(first)).toBe(9));
    const { id } = await app.task('bad.exit').delay();
    await first.ended;
    await eventually(async () => expect(await waiting()).toBe(10));
    expect(await statesOf([...ids, id])).toEqual({});
    await purge();
  });
});

function received({ log }: WorkerProcess): number {
  return log.filter(({ event }) => event === 'task:received').length;
}

async function purge(): Promise<void> {
  expect(await runLovage(['purge', '-A', APP, '--queues', QUEUE, '--force'], { env: env() })).toMatchObject({
    code: 0,
  });
}
