// The ceiling on PostgreSQL alone: what somebody writes by hand with pg, for this one task, with durable results.
// Calls made meanwhile share one insert, confirmed after its commit; 500 claimed at once under a lease of 30 s, the next batch while the last is
// committed; results stored and rows deleted in one statement. A worker that dies has its rows taken over when their lease is over.
//   node hand-written-postgres.mjs prepare            makes the tables
//   node hand-written-postgres.mjs enqueue|work  see load.mjs; `protocol`: the message of Celery's protocol, as Lovage stores it; nobody works on these
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { enqueueAll, KINDS, load, mode } from './load.mjs';

const { queue, protocol = false } = load;
const BATCH = 500;
const IN_FLIGHT = 2;
const IDLE_MS = 20;

// Row by row a later time: first in, first out.
const PLAIN = {
  insert: `insert into hand_queue (id, queue, due_at, body) select id, $1, clock_timestamp(), body from unnest($2::uuid[], $3::jsonb[]) as t (id, body)`,
  row: (args) => [randomUUID(), JSON.stringify({ task: 'bench.add', args })],
};
const PROTOCOL = {
  insert: `insert into hand_protocol (id, task_id, task, queue, due_at, headers, properties, body)
           select id, task_id, task, $1, clock_timestamp(), headers, properties, body
           from unnest($2::uuid[], $3::text[], $4::text[], $5::jsonb[], $6::jsonb[], $7::text[]) as t (id, task_id, task, headers, properties, body)`,
  row: (args) => {
    const id = randomUUID();
    const ids = { id, root_id: id, parent_id: null, group: null };
    const headers = {
      lang: 'js',
      task: 'bench.add',
      ...ids,
      retries: 0,
      argsrepr: JSON.stringify(args),
      origin: '12345@host',
    };
    const properties = { contentType: 'application/json', contentEncoding: 'utf-8', correlationId: id };
    const body = [args, {}, { callbacks: null, errbacks: null, chain: null, chord: null }];
    return [randomUUID(), id, 'bench.add', JSON.stringify(headers), JSON.stringify(properties), JSON.stringify(body)];
  },
};

const pool = new pg.Pool({ connectionString: process.env.LOVAGE_RESULTS, max: IN_FLIGHT });
if (mode === 'prepare') await prepare();
else if (mode === 'work') await work();
else await enqueue();

async function prepare() {
  await pool.query(`
    create table if not exists hand_queue (id uuid primary key, queue text not null, due_at timestamptz not null, body jsonb not null);
    create index if not exists hand_queue_due on hand_queue (queue, due_at);
    create table if not exists hand_protocol (id uuid primary key, task_id text not null, task text not null, queue text not null,
      due_at timestamptz not null, priority smallint not null default 0, headers jsonb not null, properties jsonb not null, body text not null);
    create index if not exists hand_protocol_due on hand_protocol (queue, priority, due_at);
    create table if not exists hand_written_postgres (id text primary key, state text, result jsonb, finished_at timestamptz);
  `);
  await pool.end();
}

async function enqueue() {
  let waiting = [];
  let inserting = 0;
  const kind = protocol ? PROTOCOL : PLAIN;

  // Resolves once the task is committed.
  const one = (args) =>
    new Promise((resolve, reject) => {
      waiting.push({ row: kind.row(args), resolve, reject });
      // Whatever is called in this turn of the event loop goes with it.
      if (waiting.length === 1) setImmediate(flush);
    });

  const flush = () => {
    while (waiting.length > 0 && inserting < IN_FLIGHT) {
      const batch = waiting.slice(0, BATCH);
      waiting = waiting.slice(BATCH);
      inserting++;
      insert(batch).then(
        () => batch.forEach(({ resolve }) => resolve()),
        (error) => batch.forEach(({ reject }) => reject(error)),
      );
    }
  };

  const insert = async (batch) => {
    try {
      await pool.query({
        name: 'enqueue',
        text: kind.insert,
        values: [queue, ...batch[0].row.map((_, column) => batch.map(({ row }) => row[column]))],
      });
    } finally {
      inserting--;
      flush();
    }
  };

  await pool.query('select 1');
  await enqueueAll({ one });
  await pool.end();
}

async function work() {
  // A claim that the server forgets when it crashes is made again; a result committed later makes it durable.
  const claims = new pg.Client({ connectionString: process.env.LOVAGE_RESULTS, options: '-c synchronous_commit=off' });
  await claims.connect();
  const { run } = KINDS[load.kind];
  let stopping = false;
  process.once('SIGTERM', () => (stopping = true));

  const claim = async () => {
    const { rows } = await claims.query({
      name: 'claim',
      text: `update hand_queue set due_at = now() + interval '30 seconds'
             where id = any (array(select id from hand_queue where queue = $1 and due_at <= now() order by due_at limit $2 for update skip locked))
             returning id, body`,
      values: [queue, BATCH],
    });
    return rows;
  };

  const commit = (results) =>
    pool.query({
      name: 'commit',
      text: `with done as (delete from hand_queue where id = any ($1::uuid[]))
             insert into hand_written_postgres (id, state, result, finished_at) select id, 'SUCCESS', result, now()
             from unnest($1::text[], $2::jsonb[]) as t (id, result) on conflict (id) do nothing`,
      values: [results.map(({ id }) => id), results.map(({ result }) => JSON.stringify(result))],
    });

  const committing = new Set();
  while (!stopping) {
    const rows = await claim();
    if (rows.length === 0) {
      await pause(IDLE_MS);
      continue;
    }
    const results = await Promise.all(rows.map(async ({ id, body }) => ({ id, result: await run(...body.args) })));
    const committed = commit(results).then(() => committing.delete(committed));
    committing.add(committed);
    if (committing.size >= IN_FLIGHT) await Promise.race(committing);
  }
  await Promise.all(committing);
  await claims.end();
  await pool.end();
}
