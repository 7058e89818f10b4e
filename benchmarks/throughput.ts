/**
 * Tasks a second, with results stored, beside a loop written by hand with amqplib and pg for that one task, in alternation in one run.
 *
 *   npm run bench                                      20,000 tasks, 3 rounds
 *   npm run bench -- --tasks 2000 --rounds 1           small, as CI runs it
 *   npm run bench -- --tasks 200000 --rounds 1         long enough to see the worker's memory
 *
 * The machine is shared and noisy: read the ratios, not the numbers. A worker's rate is taken between its first and its last commit, by
 * the database's clock, so start-up is not in it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import amqp from 'amqplib';
import pg from 'pg';

const { values } = parseArgs({
  options: {
    tasks: { type: 'string', default: '20000' },
    rounds: { type: 'string', default: '3' },
    concurrency: { type: 'string', default: '2000' },
    json: { type: 'boolean', default: false },
  },
});
const TASKS = Number(values.tasks);
const ROUNDS = Number(values.rounds);

const HAND_WRITTEN = fileOf('./subjects/hand-written.mjs');
const LOVAGE = fileOf('./subjects/lovage.mjs');
const CLI = join(dirname(createRequire(import.meta.url).resolve('lovage/package.json')), 'bin', 'lovage.js');

interface Subject {
  readonly name: string;
  readonly table: string;
  queue(round: number): string;
  enqueue(queue: string, many: boolean): Promise<number>;
  worker(queue: string): readonly string[];
}

const run = Date.now().toString(36);

const handWritten: Subject = {
  name: 'hand-written loop',
  table: 'hand_written',
  queue: (round) => `bench-hand-${run}-${round}`,
  enqueue: (queue) => rateOf([HAND_WRITTEN, 'enqueue', queue, String(TASKS)]),
  worker: (queue) => [HAND_WRITTEN, 'work', queue],
};

const lovage: Subject = {
  name: 'lovage',
  table: 'lovage.task_results',
  queue: (round) => `bench-lovage-${run}-${round}`,
  enqueue: (queue, many) => rateOf([LOVAGE, many ? 'enqueue-many' : 'enqueue', queue, String(TASKS)]),
  worker: (queue) => [
    CLI,
    'worker',
    '-A',
    LOVAGE,
    '--queues',
    queue,
    '--concurrency',
    values.concurrency,
    '--loglevel',
    'warn',
  ],
};

interface Execution {
  readonly perSecond: number;
  /** Resident memory when a quarter, a half, three quarters and all of the tasks were done. */
  readonly rssMb: readonly number[];
  readonly readyMs: number;
}

const database = new pg.Client({ connectionString: required('LOVAGE_RESULTS') });
await database.connect();
await succeed([CLI, 'migrate', '-A', LOVAGE]);
await database.query(
  'create table if not exists hand_written (id text primary key, state text, result jsonb, finished_at timestamptz)',
);

const enqueued = { hand: [] as number[], protocol: [] as number[], delay: [] as number[], many: [] as number[] };
const executed = { hand: [] as Execution[], lovage: [] as Execution[] };
for (let round = 0; round < ROUNDS; round++) {
  enqueued.hand.push(await handWritten.enqueue(handWritten.queue(round), false));
  enqueued.delay.push(await lovage.enqueue(lovage.queue(round), false));
  executed.hand.push(await execute(handWritten, round));
  executed.lovage.push(await execute(lovage, round));
  const protocol = `bench-protocol-${run}-${round}`;
  enqueued.protocol.push(await rateOf([HAND_WRITTEN, 'enqueue-protocol', protocol, String(TASKS)]));
  const many = `bench-lovage-many-${run}-${round}`;
  enqueued.many.push(await lovage.enqueue(many, true));
  await remove([handWritten.queue(round), protocol, ...withSides(lovage.queue(round)), ...withSides(many)]);
}
await database.query('drop table hand_written');
await database.end();
report();

/** Runs a worker on a full queue until every task has its row. */
async function execute(subject: Subject, round: number): Promise<Execution> {
  await database.query(`truncate ${subject.table}`);
  const spawned = performance.now();
  const worker = spawn(process.execPath, [...subject.worker(subject.queue(round))], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  try {
    const first = await untilRows(subject, worker, 1);
    const readyMs = first - spawned;
    const rssMb: number[] = [];
    for (const quarter of [1, 2, 3, 4]) {
      await untilRows(subject, worker, Math.floor((TASKS * quarter) / 4));
      rssMb.push(rssOf(worker));
    }
    const { rows } = await database.query<{ seconds: number }>(
      `select extract(epoch from max(finished_at) - min(finished_at))::float8 as seconds from ${subject.table}`,
    );
    return { perSecond: TASKS / (rows[0]?.seconds ?? NaN), rssMb, readyMs };
  } finally {
    worker.kill('SIGTERM');
    if (worker.exitCode === null && worker.signalCode === null) await once(worker, 'exit');
  }
}

async function untilRows(subject: Subject, worker: ChildProcess, count: number): Promise<number> {
  for (;;) {
    const { rows } = await database.query<{ n: string }>(`select count(*) as n from ${subject.table}`);
    if (Number(rows[0]?.n) >= count) return performance.now();
    if (worker.exitCode !== null) throw new Error(`the worker of ${subject.name} ended with code ${worker.exitCode}`);
    await new Promise((resolve) => setTimeout(resolve, count === 1 ? 5 : 50));
  }
}

function report(): void {
  const hand = { enqueue: median(enqueued.hand), execute: median(executed.hand.map(({ perSecond }) => perSecond)) };
  const rows = [
    {
      figure: 'enqueue, delay() pipelined',
      lovage: median(enqueued.delay),
      handWritten: hand.enqueue,
      ratio: ratio(enqueued.delay, enqueued.hand),
    },
    {
      figure: '  beside the same message',
      lovage: median(enqueued.delay),
      handWritten: median(enqueued.protocol),
      ratio: ratio(enqueued.delay, enqueued.protocol),
    },
    {
      figure: 'enqueue, delayMany by 1,000',
      lovage: median(enqueued.many),
      handWritten: hand.enqueue,
      ratio: ratio(enqueued.many, enqueued.hand),
    },
    {
      figure: 'execute, result stored',
      lovage: median(executed.lovage.map(({ perSecond }) => perSecond)),
      handWritten: hand.execute,
      ratio: ratio(
        executed.lovage.map(({ perSecond }) => perSecond),
        executed.hand.map(({ perSecond }) => perSecond),
      ),
    },
  ];
  const firstResultMs = median(executed.lovage.map(({ readyMs }) => readyMs));
  const rssMb = [0, 1, 2, 3].map((quarter) => median(executed.lovage.map((run) => run.rssMb[quarter] ?? NaN)));
  if (values.json) {
    console.log(JSON.stringify({ tasks: TASKS, rounds: ROUNDS, node: process.version, rows, firstResultMs, rssMb }));
    return;
  }
  console.log(
    `\n${TASKS.toLocaleString('en')} tasks, ${ROUNDS} round(s), Node ${process.version}; medians, a second; ratio: median of the rounds' own ratios`,
  );
  for (const row of rows) {
    console.log(
      `  ${row.figure.padEnd(30)} lovage ${format(row.lovage)}   hand-written ${format(row.handWritten)}   ratio ${row.ratio.toFixed(2)}`,
    );
  }
  const memory = rssMb.map((rss) => rss.toFixed(0)).join(', ');
  console.log(
    `  worker: first row ${firstResultMs.toFixed(0)} ms after its start; RSS at each quarter of the tasks ${memory} MB`,
  );
}

function format(value: number): string {
  return Math.round(value).toLocaleString('en').padStart(8);
}

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? NaN;
}

function ratio(a: readonly number[], b: readonly number[]): number {
  return median(a.map((value, index) => value / (b[index] ?? NaN)));
}

/** Resident memory of a process in MB; NaN where there is no /proc. */
function rssOf({ pid }: ChildProcess): number {
  try {
    const line = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return Number(line?.[1] ?? NaN) / 1024;
  } catch {
    return NaN;
  }
}

/** What a subject prints last: {"perSecond": …}. */
async function rateOf(args: readonly string[]): Promise<number> {
  const child = spawn(process.execPath, [...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  let last = '';
  createInterface({ input: child.stdout }).on('line', (line) => (last = line));
  const [code] = (await once(child, 'close')) as [number];
  if (code !== 0) throw new Error(`${args.join(' ')} ended with code ${code}`);
  return (JSON.parse(last) as { perSecond: number }).perSecond;
}

async function succeed(args: readonly string[]): Promise<void> {
  const child = spawn(process.execPath, [...args], { stdio: ['ignore', 'ignore', 'inherit'] });
  const [code] = (await once(child, 'close')) as [number];
  if (code !== 0) throw new Error(`${args.join(' ')} ended with code ${code}`);
}

async function remove(queues: readonly string[]): Promise<void> {
  const connection = await amqp.connect(required('LOVAGE_BROKER'));
  const channel = await connection.createChannel();
  for (const queue of queues) await channel.deleteQueue(queue);
  await connection.close();
}

function withSides(queue: string): readonly string[] {
  return [queue, `${queue}.lost`, `${queue}.dead`];
}

function fileOf(relative: string): string {
  return new URL(relative, import.meta.url).pathname;
}

function required(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === '')
    throw new Error(`expected ${name} to be set: run this through \`npm run bench\``);
  return value;
}
