// The ceiling: what somebody writes by hand with amqplib and pg, for this one task, with durable results.
// Quorum queue, pipelined confirms; results in one upsert a batch, two flushes in flight, acknowledged after the commit.
//   node hand-written.mjs enqueue QUEUE COUNT            two headers: all that this one worker needs
//   node hand-written.mjs enqueue-protocol QUEUE COUNT   the headers of Celery's protocol, as Lovage sends them
//   node hand-written.mjs work QUEUE
import amqp from 'amqplib';
import { randomUUID } from 'node:crypto';
import pg from 'pg';

const [mode, queue, count] = process.argv.slice(2);
const WINDOW = 1000;
const PREFETCH = 2000;
const BATCH = 500;

const connection = await amqp.connect(process.env.LOVAGE_BROKER, { noDelay: true });
if (mode !== 'work') await enqueue(Number(count));
else await work();

async function enqueue(tasks) {
  const channel = await connection.createConfirmChannel();
  await channel.assertQueue(queue, { durable: true, arguments: { 'x-queue-type': 'quorum' } });
  const started = performance.now();
  let inFlight = 0;
  let resume = null;
  for (let n = 0; n < tasks; n++) {
    if (inFlight >= WINDOW) await new Promise((resolve) => (resume = resolve));
    inFlight++;
    const id = randomUUID();
    const body = Buffer.from(
      JSON.stringify([[n, 1], {}, { callbacks: null, errbacks: null, chain: null, chord: null }]),
    );
    const headers = mode === 'enqueue-protocol' ? protocolHeaders(id, `[${n},1]`) : { task: 'bench.add', id };
    channel.publish(
      '',
      queue,
      body,
      { headers, contentType: 'application/json', correlationId: id, persistent: true },
      () => {
        inFlight--;
        resume?.();
        resume = null;
      },
    );
  }
  await channel.waitForConfirms();
  console.log(JSON.stringify({ perSecond: tasks / ((performance.now() - started) / 1000) }));
  await connection.close();
}

function protocolHeaders(id, argsrepr) {
  const int32 = (value) => ({ '!': 'int32', value });
  return {
    lang: 'js',
    task: 'bench.add',
    id,
    root_id: id,
    parent_id: null,
    group: null,
    retries: int32(0),
    argsrepr,
    origin: '12345@host',
  };
}

async function work() {
  const pool = new pg.Pool({ connectionString: process.env.LOVAGE_RESULTS, max: 2 });
  const channel = await connection.createChannel();
  await channel.prefetch(PREFETCH);
  let waiting = [];
  let flushing = 0;

  const flush = async () => {
    while (waiting.length > 0 && flushing < 2) {
      const batch = waiting.splice(0, BATCH);
      flushing++;
      await pool.query({
        name: 'commit',
        text: `insert into hand_written (id, state, result, finished_at) select id, 'SUCCESS', result, now()
               from unnest($1::text[], $2::jsonb[]) as t (id, result) on conflict (id) do nothing`,
        values: [
          batch.map(({ message }) => message.properties.headers.id),
          batch.map(({ result }) => JSON.stringify(result)),
        ],
      });
      flushing--;
      for (const { message } of batch) channel.ack(message);
    }
  };

  await channel.consume(queue, async (message) => {
    const [[x, y]] = JSON.parse(message.content.toString());
    const result = await (async () => x + y)();
    waiting.push({ message, result });
    if (flushing < 2) void flush();
  });
  process.once('SIGTERM', () => process.exit(0));
}
