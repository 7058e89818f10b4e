// The ceiling: what somebody writes by hand with amqplib and pg, for one task, with durable results.
//   node hand-written.mjs enqueue|work|round-trip|paced      see load.mjs; the load also says:
//     protocol   the headers of Celery's protocol, as Lovage sends them, and rows like Lovage's; else a name and an id, and rows of four columns
//     store      false: no results, acknowledged once a task has run
//     prefetch   messages held at once
// Quorum queue, pipelined confirms; results in one upsert a batch, two flushes in flight; acknowledged after the commit, as many at once as have ended in a row.
import amqp from 'amqplib';
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { done, enqueueAll, enqueuePaced, KINDS, load, mode, Order, timeCalls, window } from './load.mjs';

const { queue, protocol = false, store = true, prefetch = 2000 } = load;
const BATCH = 500;
const IN_FLIGHT = 2;

const connection = await amqp.connect(process.env.LOVAGE_BROKER, { noDelay: true });
const EMBED = { callbacks: null, errbacks: null, chain: null, chord: null };

if (mode === 'enqueue') await withPublisher((one) => enqueueAll({ one }));
else if (mode === 'paced') await withPublisher(enqueuePaced);
else if (mode === 'round-trip') await roundTrips();
else await work();

/** Gives `use` a function that publishes one call and resolves to its id once the broker has confirmed it. */
async function withPublisher(use, options = {}) {
  const channel = await connection.createConfirmChannel();
  await channel.assertQueue(queue, { durable: true, arguments: { 'x-queue-type': 'quorum' } });
  await use((args) => {
    const id = randomUUID();
    const body = Buffer.from(JSON.stringify([args, {}, EMBED]));
    const headers = protocol ? protocolHeaders(id, JSON.stringify(args)) : { task: 'bench', id };
    return new Promise((resolve, reject) => {
      channel.publish(
        '',
        queue,
        body,
        { headers, contentType: 'application/json', correlationId: id, persistent: true, ...options },
        (error) => (error ? reject(error) : resolve(id)),
      );
    });
  });
  await connection.close();
}

function protocolHeaders(id, argsrepr) {
  const int32 = (value) => ({ '!': 'int32', value });
  const ids = { id, root_id: id, parent_id: null, group: null };
  return { lang: 'js', task: 'bench', ...ids, retries: int32(0), argsrepr, origin: '12345@host' };
}

/** The worker notifies in the commit; the caller then reads the result by its id. */
async function roundTrips() {
  const channel = `hand_${randomUUID().slice(0, 8)}`;
  const listener = new pg.Client({ connectionString: process.env.LOVAGE_RESULTS });
  const reader = new pg.Client({ connectionString: process.env.LOVAGE_RESULTS });
  await Promise.all([listener.connect(), reader.connect()]);
  const waiting = new Map();
  const early = new Set();
  listener.on('notification', ({ payload }) => {
    for (const id of payload.split(',')) waiting.get(id)?.() ?? early.add(id);
  });
  await listener.query(`listen ${channel}`);
  await withPublisher(
    (one) =>
      timeCalls(async (args) => {
        const id = await one(args);
        if (!early.delete(id)) await new Promise((resolve) => waiting.set(id, resolve));
        waiting.delete(id);
        await reader.query({
          name: 'read',
          text: 'select state, result from hand_written where id = $1',
          values: [id],
        });
      }),
    { replyTo: channel },
  );
  await Promise.all([listener.end(), reader.end()]);
}

async function work() {
  const pool = new pg.Pool({ connectionString: process.env.LOVAGE_RESULTS, max: IN_FLIGHT });
  const channel = await connection.createChannel();
  await channel.assertQueue(queue, { durable: true, arguments: { 'x-queue-type': 'quorum' } });
  await channel.prefetch(window(prefetch));
  const run = await runOf(load.kind);
  const acknowledge = inRows(channel);
  let waiting = [];
  let flushing = 0;

  const flush = async () => {
    while (waiting.length > 0 && flushing < IN_FLIGHT) {
      const batch = waiting.splice(0, BATCH);
      flushing++;
      await pool.query(commitOf(batch));
      flushing--;
      acknowledge(batch);
    }
  };

  let ended = [];
  const count = () => {
    acknowledge(ended);
    done(ended.length);
    ended = [];
  };

  await channel.consume(queue, async (message) => {
    const startedAt = Date.now();
    const [args] = JSON.parse(message.content.toString());
    const result = await run(...args);
    if (store) {
      waiting.push({ message, result, startedAt });
      if (flushing < IN_FLIGHT) void flush();
    } else if (ended.push({ message }) === 1) setImmediate(count);
  });
  process.once('SIGTERM', () => process.exit(0));
}

async function runOf(kind) {
  const { run } = KINDS[kind];
  if (kind !== 'order') return run;
  const { plainToInstance } = await import('class-transformer');
  return (order) => run(plainToInstance(Order, order));
}

/** Acknowledges up to the last message before which all have ended. */
function inRows(channel) {
  const ended = new Set();
  let next = 1;
  return (batch) => {
    for (const { message } of batch) ended.add(message.fields.deliveryTag);
    let last = 0;
    while (ended.delete(next)) last = next++;
    if (last > 0) channel.ack({ fields: { deliveryTag: last } }, true);
  };
}

function commitOf(batch) {
  const ids = batch.map(({ message }) => message.properties.headers.id);
  const results = batch.map(({ result }) => JSON.stringify(result));
  const asked = batch.filter(({ message }) => message.properties.replyTo !== undefined);
  if (asked.length > 0) {
    return {
      name: 'commit-and-tell',
      text: `with stored as (insert into hand_written (id, state, result, finished_at) select id, 'SUCCESS', result, now()
               from unnest($1::text[], $2::jsonb[]) as t (id, result) on conflict (id) do nothing)
             select pg_notify($3, $4)`,
      values: [
        ids,
        results,
        asked[0].message.properties.replyTo,
        asked.map(({ message }) => message.properties.headers.id).join(','),
      ],
    };
  }
  if (!protocol) {
    return {
      name: 'commit',
      text: `insert into hand_written (id, state, result, finished_at) select id, 'SUCCESS', result, now()
             from unnest($1::text[], $2::jsonb[]) as t (id, result) on conflict (id) do nothing`,
      values: [ids, results],
    };
  }
  const now = Date.now();
  const headers = batch.map(({ message }) => message.properties.headers);
  return {
    name: 'commit-record',
    text: `insert into hand_record as stored (id, task, state, attempt, result, retries, queue, worker, parent_id, root_id, group_id, created_at, started_at, finished_at)
           select id, task, 'SUCCESS', 0, result, retries, $4, $5, parent_id, root_id, group_id, now(), now() - runtime * interval '1 millisecond', now()
           from unnest($1::text[], $2::text[], $3::jsonb[], $6::int[], $7::text[], $8::text[], $9::text[], $10::float8[])
             as t (id, task, result, retries, parent_id, root_id, group_id, runtime)
           on conflict (id) do update set state = excluded.state, result = excluded.result, finished_at = excluded.finished_at
             where stored.state not in ('SUCCESS', 'FAILURE', 'REVOKED')`,
    values: [
      ids,
      headers.map(({ task }) => task),
      results,
      queue,
      'hand@host',
      headers.map(({ retries }) => retries),
      headers.map(({ parent_id }) => parent_id),
      headers.map(({ root_id }) => root_id),
      headers.map(({ group }) => group),
      batch.map(({ startedAt }) => now - startedAt),
    ],
  };
}
