import { setTimeout as pause } from 'node:timers/promises';
import amqp from 'amqplib';
import { Lovage, type TaskHandle } from 'lovage';
import { type Comparison, defineCase, type Figure, reading, type Readings, type Turn } from '../runner/case.js';
import { quantile } from '../runner/figures.js';
import type { Ground } from '../runner/ground.js';
import { ownQueue } from '../subjects/subject.js';
import { type Service, withService } from '../support/processes.js';
import { APP, CLI } from '../support/programmes.js';
import { deleteQueues, withSides } from '../support/queues.js';
import { rssOf } from '../support/usage.js';

export const outbox = defineCase({
  name: 'outbox',
  measures: 'messages that a relay sends a second, how late on an idle system, and what waiting rows cost it',
  options: {
    messages: { full: 50_000, small: 2_000, doc: 'messages that are due' },
    timed: { full: 60, small: 5, doc: 'tasks with an eta' },
    waiting: { full: 1_000_000, small: 10_000, doc: 'rows that are due later' },
  },
  async *comparisons(ground, { messages, timed, waiting }) {
    const app = new Lovage({ name: 'bench', broker: ground.broker, results: ground.results });
    const queue = ownQueue();
    const scene: Scene = { ...ground, queue, add: app.task<[number, number], number>('bench.add').with({ queue }) };
    try {
      yield dispatch(scene, messages);
      yield lateness(scene, timed);
      yield waitingRows(scene, waiting);
    } finally {
      await app.stop();
      await deleteQueues(ground.broker, withSides(queue));
    }
  },
});

interface Scene extends Ground {
  readonly queue: string;
  readonly add: TaskHandle<[number, number], number>;
}

const RELAY = 'relay';

function dispatch(scene: Scene, messages: number): Comparison {
  return {
    title: `${messages.toLocaleString('en')} messages that are due, one relay`,
    turns: [{ name: RELAY, take: async () => ({ dispatched: await dispatched(scene, messages) }) }],
    figures: [{ figure: 'dispatch from the outbox', unit: '/s', of: reading(RELAY, 'dispatched') }],
  };
}

/** Messages a second from the first that leaves the outbox to the last. */
async function dispatched(scene: Scene, messages: number): Promise<number> {
  const { add, database, queue, broker } = scene;
  const past = new Date(Date.now() - 1_000);
  for (let n = 0; n < messages; n += 1_000) {
    const calls = Array.from({ length: Math.min(1_000, messages - n) }, (_, index) => [n + index, 1] as const);
    await add.with({ eta: past }).delayMany(calls);
  }
  await database.query('analyze lovage.outbox');
  const rate = await withRelay(scene, async () => {
    let left = messages;
    while (left === messages) left = await rowsLeft(scene);
    const [from, start] = [left, performance.now()];
    while (left > 0) {
      left = await rowsLeft(scene);
      await pause(100); // to count costs the database more than to claim
    }
    return from / ((performance.now() - start) / 1_000);
  });
  const connection = await amqp.connect(broker);
  await (await connection.createChannel()).purgeQueue(queue);
  await connection.close();
  return rate;
}

function lateness(scene: Scene, tasks: number): Comparison {
  const late = (figure: string, key: string): Figure => ({ figure, unit: 'ms', of: reading(RELAY, key) });
  return {
    title: `${tasks} tasks with an eta, idle`,
    rounds: 1,
    turns: [{ name: RELAY, take: async () => quantilesOf(await lateArrivals(scene, tasks)) }],
    figures: [
      late('arrives after its eta, p50', 'p50'),
      late('arrives after its eta, p95', 'p95'),
      late('arrives after its eta, the latest', 'most'),
    ],
  };
}

function quantilesOf(list: readonly number[]): Readings {
  return { p50: quantile(list, 0.5), p95: quantile(list, 0.95), most: quantile(list, 1) };
}

/** How many milliseconds after their time tasks arrive at a consumer. */
async function lateArrivals(scene: Scene, tasks: number): Promise<readonly number[]> {
  const { add, queue } = scene;
  const connection = await amqp.connect(scene.broker);
  try {
    return await withRelay(scene, async () => {
      const channel = await connection.createChannel();
      const arrivals = new Map<string, number>();
      const etas = new Map<string, number>();
      let arrived: () => void = () => undefined;
      await channel.consume(queue, (message) => {
        if (message === null) return;
        channel.ack(message);
        arrivals.set(String(message.properties.correlationId), Date.now());
        arrived();
      });
      for (let n = 0; n < tasks; n++) {
        const eta = new Date(Date.now() + 1_500 + Math.random() * 100 * tasks);
        const { id } = await add.with({ eta }).delay(n, 1);
        etas.set(id, eta.getTime());
      }
      while (arrivals.size < tasks) await new Promise<void>((resolve) => (arrived = resolve));
      return [...etas].map(([id, eta]) => (arrivals.get(id) ?? NaN) - eta);
    });
  } finally {
    await connection.close();
  }
}

function waitingRows(scene: Scene, waiting: number): Comparison {
  const [empty, full] = ['empty outbox', `${waiting.toLocaleString('en')} rows waiting`];
  const settled = ({ child }: Service): Promise<number> => pause(3_000).then(() => rssOf(child.pid));
  const turns: readonly Turn[] = [
    { name: empty, take: async () => ({ rss: await withRelay(scene, settled) }) },
    {
      name: full,
      async take() {
        await fill(scene, waiting);
        return { rss: await withRelay(scene, settled), due: await dueQueryMs(scene) };
      },
    },
  ];
  return {
    title: 'rows that are due later',
    rounds: 1,
    turns,
    figures: [
      { figure: 'RSS of a relay', unit: 'MB', of: reading(full, 'rss'), beside: reading(empty, 'rss') },
      { figure: 'query for what is due', unit: 'ms', of: reading(full, 'due') },
    ],
  };
}

async function fill({ add, database }: Scene, waiting: number): Promise<void> {
  await add.with({ countdown: '30d' }).delay(1, 1);
  await database.query(
    `insert into lovage.outbox (id, task_id, task, queue, due_at, eta, headers, properties, body, created_at)
     select gen_random_uuid(), 'waiting-' || n, task, queue, due_at + n * interval '1 second', eta + n * interval '1 second', headers, properties, body, created_at
     from lovage.outbox, generate_series(1, $1::int) as n`,
    [waiting],
  );
  await database.query('analyze lovage.outbox');
}

async function dueQueryMs({ database }: Scene): Promise<number> {
  const { rows } = await database.query<{ 'QUERY PLAN': readonly [{ 'Execution Time': number }] }>(
    `explain (analyze, format json) select id from lovage.outbox where due_at <= now() order by due_at limit 500 for update skip locked`,
  );
  return rows[0]?.['QUERY PLAN'][0]['Execution Time'] ?? NaN;
}

async function withRelay<T>({ broker, results }: Scene, work: (relay: Service) => Promise<T>): Promise<T> {
  const command = {
    args: [CLI, 'relay', '-A', APP, '--loglevel', 'warn'],
    env: { LOVAGE_BROKER: broker, LOVAGE_RESULTS: results },
  };
  return await withService({ name: 'the relay', command }, (relay) => {
    relay.child.stdout?.resume();
    return work(relay);
  });
}

async function rowsLeft({ database }: Scene): Promise<number> {
  const { rows } = await database.query<{ n: string }>('select count(*) as n from lovage.outbox');
  return Number(rows[0]?.n);
}
