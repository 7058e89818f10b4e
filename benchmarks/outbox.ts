/**
 * The outbox: how many messages a second a relay sends, how near to its time a task is published on an idle system, and what rows that are due later
 * cost a relay.
 *
 *   npm run bench -- outbox                                          50,000 messages, 3 rounds, 60 timed tasks, 1,000,000 waiting rows
 *   npm run bench -- outbox --rows 2000 --rounds 1 --timed 5 --waiting 10000     small, as CI runs it
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import amqp from 'amqplib';
import { Lovage } from 'lovage';
import pg from 'pg';
import { readOptions, required } from './support/options.js';
import { hasEnded, rssOf } from './support/processes.js';
import { CLI, LOVAGE } from './support/programmes.js';

const values = readOptions({
  command: 'npm run bench -- outbox',
  numbers: { rows: 50_000, rounds: 3, timed: 60, waiting: 1_000_000 },
});
const ROWS = values.rows;
const ROUNDS = values.rounds;
const TIMED = values.timed;
const WAITING = values.waiting;

const QUEUE = `bench-outbox-${Date.now().toString(36)}`;

const app = new Lovage({ name: 'bench' }).configFromObject(process.env, { namespace: 'LOVAGE' });
const database = new pg.Client({ connectionString: required('LOVAGE_RESULTS') });
await database.connect();
await (await app.resultBackend())?.capabilities.schema?.migrate();
// What an interrupted run left behind would never be sent.
await database.query('truncate lovage.outbox, lovage.task_results');
const add = app.task<[number, number], number>('bench.add').with({ queue: QUEUE });
const broker = await amqp.connect(required('LOVAGE_BROKER'));
const channel = await broker.createChannel();

try {
  const dispatched: number[] = [];
  for (let round = 0; round < ROUNDS; round++) dispatched.push(await dispatch());
  const late = await lateness();
  const memory = await footprint();
  const sorted = (list: readonly number[]): number[] => [...list].sort((a, b) => a - b);
  const quantile = (list: readonly number[], q: number): string =>
    (sorted(list)[Math.min(list.length - 1, Math.floor(list.length * q))] ?? NaN).toFixed(0);
  console.log(`\nOutbox, Node ${process.version}`);
  console.log(
    `  dispatch, ${ROWS.toLocaleString('en')} messages, one relay: ${Math.round(Number(quantile(dispatched, 0.5))).toLocaleString('en')} a second (median of ${ROUNDS})`,
  );
  console.log(
    `  published after its time, ${TIMED} tasks, idle: median ${quantile(late, 0.5)} ms, 95 % ${quantile(late, 0.95)} ms, most ${quantile(late, 1)} ms`,
  );
  console.log(
    `  RSS of a relay: ${memory.emptyMb.toFixed(0)} MB beside an empty outbox, ${memory.fullMb.toFixed(0)} MB beside ${WAITING.toLocaleString('en')} waiting rows; due query ${memory.dueQueryMs.toFixed(2)} ms`,
  );
} finally {
  for (const queue of [QUEUE, `${QUEUE}.lost`, `${QUEUE}.dead`]) await channel.deleteQueue(queue);
  await broker.close();
  await database.query('truncate lovage.outbox, lovage.task_results');
  await database.end();
  await app.stop();
}

/** Messages a second from the first that leaves the outbox to the last. */
async function dispatch(): Promise<number> {
  const past = new Date(Date.now() - 1_000);
  for (let n = 0; n < ROWS; n += 1_000) {
    const calls = Array.from({ length: Math.min(1_000, ROWS - n) }, (_, index) => [n + index, 1] as const);
    await add.with({ eta: past }).delayMany(calls);
  }
  await database.query('analyze lovage.outbox');
  return await withRelay(async () => {
    let left = ROWS;
    while (left === ROWS) left = await rowsLeft();
    const [from, start] = [left, performance.now()];
    while (left > 0) {
      left = await rowsLeft();
      await pause(100); // to count costs the database more than to claim
    }
    const perSecond = from / ((performance.now() - start) / 1_000);
    await channel.purgeQueue(QUEUE);
    return perSecond;
  });
}

/** How many milliseconds after their time tasks arrive at a consumer. */
async function lateness(): Promise<readonly number[]> {
  return await withRelay(async () => {
    const late: number[] = [];
    const etas = new Map<string, number>();
    let arrived: () => void = () => undefined;
    const { consumerTag } = await channel.consume(QUEUE, (message) => {
      if (message === null) return;
      channel.ack(message);
      late.push(Date.now() - (etas.get(String(message.properties.correlationId)) ?? NaN));
      arrived();
    });
    for (let n = 0; n < TIMED; n++) {
      const eta = new Date(Date.now() + 1_500 + Math.random() * 100 * TIMED);
      const { id } = await add.with({ eta }).delay(n, 1);
      etas.set(id, eta.getTime());
    }
    while (late.length < TIMED) await new Promise<void>((resolve) => (arrived = resolve));
    await channel.cancel(consumerTag);
    return late;
  });
}

async function footprint(): Promise<{ emptyMb: number; fullMb: number; dueQueryMs: number }> {
  const settle = async (relay: ChildProcess): Promise<number> => {
    await pause(3_000);
    return rssOf(relay);
  };
  const emptyMb = await withRelay(settle);
  await add.with({ countdown: '30d' }).delay(1, 1);
  await database.query(
    `insert into lovage.outbox (id, task_id, task, queue, due_at, eta, headers, properties, body, created_at)
     select gen_random_uuid(), 'waiting-' || n, task, queue, due_at + n * interval '1 second', eta + n * interval '1 second', headers, properties, body, created_at
     from lovage.outbox, generate_series(1, $1::int) as n`,
    [WAITING],
  );
  await database.query('analyze lovage.outbox');
  const fullMb = await withRelay(settle);
  const { rows } = await database.query<{ 'QUERY PLAN': readonly [{ 'Execution Time': number }] }>(
    `explain (analyze, format json) select id from lovage.outbox where due_at <= now() order by due_at limit 500 for update skip locked`,
  );
  return { emptyMb, fullMb, dueQueryMs: rows[0]?.['QUERY PLAN'][0]['Execution Time'] ?? NaN };
}

async function withRelay<T>(work: (relay: ChildProcess) => Promise<T>): Promise<T> {
  const relay = spawn(process.execPath, [CLI, 'relay', '-A', LOVAGE, '--loglevel', 'warn'], {
    stdio: 'ignore',
  });
  const died = once(relay, 'exit').then(([code]) => {
    throw new Error(`the relay ended with code ${String(code)} before its time`);
  });
  died.catch(() => undefined);
  try {
    return await Promise.race([work(relay), died]);
  } finally {
    relay.kill('SIGTERM');
    if (!hasEnded(relay)) await once(relay, 'exit');
  }
}

async function rowsLeft(): Promise<number> {
  const { rows } = await database.query<{ n: string }>('select count(*) as n from lovage.outbox');
  return Number(rows[0]?.n);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
