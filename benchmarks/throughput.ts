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
import pg from 'pg';
import { type Execution, execute } from './support/execution.js';
import { format, median, ratio } from './support/figures.js';
import { readOptions, required } from './support/options.js';
import { rateOf, succeed } from './support/processes.js';
import { CLI, HAND_WRITTEN, LOVAGE, lovageWorker } from './support/programmes.js';
import { deleteQueues, withSides } from './support/queues.js';

const values = readOptions({
  command: 'npm run bench --',
  numbers: { tasks: 20_000, rounds: 3, concurrency: 2000 },
  flags: ['json'],
});
const TASKS = values.tasks;
const ROUNDS = values.rounds;

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
  worker: (queue) => lovageWorker(queue, values.concurrency),
};

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
  executed.hand.push(await work(handWritten, round));
  executed.lovage.push(await work(lovage, round));
  const protocol = `bench-protocol-${run}-${round}`;
  enqueued.protocol.push(await rateOf([HAND_WRITTEN, 'enqueue-protocol', protocol, String(TASKS)]));
  const many = `bench-lovage-many-${run}-${round}`;
  enqueued.many.push(await lovage.enqueue(many, true));
  await deleteQueues(required('LOVAGE_BROKER'), [
    handWritten.queue(round),
    protocol,
    ...withSides(lovage.queue(round)),
    ...withSides(many),
  ]);
}
await database.query('drop table hand_written');
await database.end();
report();

function work(subject: Subject, round: number): Promise<Execution> {
  const { name, table } = subject;
  return execute(database, { name, table, tasks: TASKS, worker: subject.worker(subject.queue(round)) });
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
