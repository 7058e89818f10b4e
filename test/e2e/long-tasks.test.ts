import path from 'node:path';
import { Lovage, type AsyncResult } from 'lovage';
import { Client } from 'pg';
import { eventually } from '../support/eventually.js';
import { type IsolatedResults, isolatedResults } from '../support/isolated-results.js';
import { type LogLine, type WorkerProcess, runLovage, startWorker } from '../support/lovage-process.js';
import { type Rabbit, privateBroker } from '../support/private-broker.js';

const APP = path.join(__dirname, 'long-tasks', 'app.ts');
/** A task is parked after half of it. RabbitMQ's own default is 30 min. */
const TIMEOUT_MS = 12_000;
const LEASE_MS = TIMEOUT_MS / 6;
/** How long RabbitMQ needs to see that the time is up. By default it looks once a minute. */
const TICK_MS = 500;
/** Longer than RabbitMQ waits. */
const LONG_MS = TIMEOUT_MS + 4 * TICK_MS;

// A node of its own, as it is the node that has the timeout: see docs/explanation/amqp.md.
describe(`tasks that take longer than a RabbitMQ with a consumer_timeout of ${TIMEOUT_MS / 1000} s waits`, () => {
  jest.setTimeout(90_000);
  let broker: Rabbit;
  let results: IsolatedResults;
  let app: Lovage;
  let db: Client;
  const workers: WorkerProcess[] = [];

  beforeAll(async () => {
    [broker, results] = await Promise.all([privateBroker(), isolatedResults()]);
    await broker.ctl(
      'eval',
      `application:set_env(rabbit, consumer_timeout, ${TIMEOUT_MS}), application:set_env(rabbit, channel_tick_interval, ${TICK_MS}).`,
    );
    expect(await runLovage(['migrate', '-A', APP], { env: environment() })).toMatchObject({ code: 0 });
    app = new Lovage({ name: 'long', broker: broker.url, results: results.url });
    db = new Client({ connectionString: results.url });
    await db.connect();
  });

  afterAll(async () => {
    await Promise.all(workers.map((worker) => worker.kill()));
    await app?.stop();
    await db?.end();
    await Promise.all([broker?.stop(), results?.drop()]);
  });

  // Side by side, as each takes as long as a long task.
  it('run once, with the end that they had; what waits behind them keeps no channel from living', async () => {
    await Promise.all([parksAndWaits(), diesWithIt(), isToldTheWrongTimeout()]);
  });

  async function parksAndWaits(): Promise<void> {
    const worker = await start('patient', ['--concurrency', '1', '--prefetch', '2']);
    const [long, behind] = [await sleep('patient', LONG_MS), await sleep('patient', 0)];
    expect(await behind.get({ timeout: '60s' })).toBe(worker.pid);
    expect(await long.get({ timeout: '10s' })).toBe(worker.pid);
    expect(of(worker, 'task:parked')).toMatchObject([{ id: long.id }]);
    expect(of(worker, 'warning').map(({ message }) => message)).toContainEqual(
      '1 task(s) waited here for 2 s unstarted and went back to their queues, for any worker to take; if that comes often, give worker.prefetch a lower number',
    );
    expect(interruptionsOf(worker)).toEqual([]);
    expect(await worker.stop()).toBe(0);
    await expectNothingLeft('patient');
  }

  async function diesWithIt(): Promise<void> {
    const worker = await start('dying');
    const long = await sleep('dying', TIMEOUT_MS / 2 + 4 * TICK_MS);
    await eventually(() => expect(of(worker, 'task:parked')).toHaveLength(1), { timeoutMs: TIMEOUT_MS });
    // Its delivery is acknowledged at the end of that turn of the event loop: before anything else runs.
    await (await sleep('dying', 0)).get({ timeout: '10s' });
    await worker.kill();
    const died = performance.now();
    const next = await start('dying');
    const received = () => of(next, 'task:received').filter(({ id }) => id === long.id);
    await eventually(() => expect(received()).toHaveLength(1), { timeoutMs: 30_000 });
    expect(performance.now() - died).toBeGreaterThan(LEASE_MS / 2);
    expect(await long.get({ timeout: '30s' })).toBe(next.pid);
    expect(await next.stop()).toBe(0);
    await expectNothingLeft('dying');
  }

  /** That RabbitMQ means it, and what happens then: the channel is closed, and its copies are taken over. */
  async function isToldTheWrongTimeout(): Promise<void> {
    const worker = await start('wrong', [], { LOVAGE_BROKER_CONSUMER_TIMEOUT: '1h' });
    const long = await sleep('wrong', LONG_MS);
    expect(await long.get({ timeout: '60s' })).toBe(worker.pid);
    expect(of(worker, 'task:parked')).toEqual([]);
    expect(interruptionsOf(worker)).toEqual([expect.stringContaining('timed out')]);
    expect(of(worker, 'task:duplicate')).toHaveLength(1);
    expect(await worker.stop()).toBe(0);
    await expectNothingLeft('wrong');
  }

  async function start(queue: string, args: readonly string[] = [], env: NodeJS.ProcessEnv = {}) {
    const options = { env: { ...environment(), ...env } };
    const worker = await startWorker(['-A', APP, '--loglevel', 'debug', '--queues', queue, ...args], options);
    workers.push(worker);
    return worker;
  }

  function sleep(queue: string, ms: number): Promise<AsyncResult<number>> {
    return app.task<[ms: number], number>('long.sleep').with({ queue }).delay(ms);
  }

  async function expectNothingLeft(queue: string): Promise<void> {
    const { capabilities } = await app.connectBroker();
    expect(await capabilities.inspect?.depths([queue])).toMatchObject([{ messages: 0 }]);
    expect((await db.query('SELECT task_id FROM lovage.outbox WHERE queue = $1', [queue])).rows).toEqual([]);
  }

  function environment(): NodeJS.ProcessEnv {
    return {
      LOVAGE_BROKER: broker.url,
      LOVAGE_RESULTS: results.url,
      LOVAGE_BROKER_CONSUMER_TIMEOUT: String(TIMEOUT_MS),
    };
  }
});

function of({ log }: WorkerProcess, event: string): readonly LogLine[] {
  return log.filter((line) => line.event === event);
}

function interruptionsOf(worker: WorkerProcess): readonly string[] {
  return of(worker, 'warning')
    .map(({ message }) => message)
    .filter((message) => message.includes('was interrupted'));
}
