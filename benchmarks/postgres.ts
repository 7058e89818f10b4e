/**
 * PostgreSQL as broker and result backend, beside a loop written by hand with pg and beside RabbitMQ as the broker, in alternation in one run.
 *
 *   npm run bench -- postgres                              20,000 tasks, 3 rounds
 *   npm run bench -- postgres --tasks 2000 --rounds 1      small, as CI runs it
 *
 * Everything is in a database of its own on the server of LOVAGE_RESULTS, dropped at the end, also after an error or a signal.
 * The machine is shared and noisy: read the ratios, not the numbers. Rates of work are by the database's clock, as in throughput.ts.
 */
import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { type Execution, execute } from './support/execution.js';
import { format, median, quantile, ratio } from './support/figures.js';
import { readOptions, required } from './support/options.js';
import {
  endWithChildren,
  isInterrupted,
  lastLineOf,
  type ProcessOptions,
  rateOf,
  start,
  stop,
  succeed,
} from './support/processes.js';
import { CLI, HAND_WRITTEN_POSTGRES, LOVAGE, lovageWorker } from './support/programmes.js';
import { deleteQueues, withSides } from './support/queues.js';
import { withScratchDatabase } from './support/scratch-database.js';

/** What Lovage is to reach of the loop written by hand. */
const GOAL = 0.7;

const {
  tasks: TASKS,
  rounds: ROUNDS,
  calls: CALLS,
  concurrency: CONCURRENCY,
  json: asJson,
} = readOptions({
  command: 'npm run bench -- postgres',
  numbers: { tasks: 20_000, rounds: 3, calls: 200, concurrency: 2000 },
  flags: ['json'],
});

type Mode = 'enqueue' | 'enqueue-protocol' | 'enqueue-many';

interface Subject {
  readonly name: string;
  /** Where its processes find broker and results. */
  readonly environment: NonNullable<ProcessOptions['env']>;
  /** The table of its results. */
  readonly table: string;
  readonly prepare: readonly string[];
  /** The programme that is called with `enqueue`, and with the other modes that it has. */
  readonly caller: string;
  /** What a loop for one task does not have: a call of many, and a way to wait for a result. */
  readonly isLovage: boolean;
  worker(queue: string): readonly string[];
  /** Removes what is left of `queue`, and every row. */
  clear(queue: string): Promise<void>;
}

/** One of each a round. */
interface Figures {
  /** Tasks a second. */
  readonly enqueued: number[];
  /** The message that Lovage sends, by the hand-written loop. */
  readonly enqueuedProtocol: number[];
  readonly enqueuedMany: number[];
  readonly executed: Execution[];
  /** Milliseconds of each call. */
  readonly roundTrips: (readonly number[])[];
}

interface Measured {
  readonly subject: Subject;
  readonly figures: Figures;
}

interface Line {
  readonly figure: string;
  readonly digits: number;
  /** One value a round; none where the subject does not have it. */
  readonly of: (figures: Figures) => readonly number[];
  /** What stands for it in the loop written by hand. */
  readonly byHand?: (figures: Figures) => readonly number[];
  readonly goal?: number;
}

const perSecond = ({ executed }: Figures): readonly number[] => executed.map((execution) => execution.perSecond);

const LINES: readonly Line[] = [
  { figure: 'enqueue, delay() pipelined', digits: 0, of: ({ enqueued }) => enqueued, goal: GOAL },
  {
    figure: '  beside the same message',
    digits: 0,
    of: ({ enqueued }) => enqueued,
    byHand: ({ enqueuedProtocol }) => enqueuedProtocol,
  },
  {
    figure: 'enqueue, delayMany by 1,000',
    digits: 0,
    of: ({ enqueuedMany }) => enqueuedMany,
    byHand: ({ enqueued }) => enqueued,
    goal: GOAL,
  },
  { figure: 'execute, result stored', digits: 0, of: perSecond, goal: GOAL },
  {
    figure: 'delay() and execute',
    digits: 0,
    of: (figures) => figures.enqueued.map((rate, round) => 1 / (1 / rate + 1 / (perSecond(figures)[round] ?? NaN))),
    goal: GOAL,
  },
  { figure: 'round trip, idle, ms: median', digits: 2, of: ({ roundTrips: all }) => all.map(median) },
  {
    figure: 'round trip, idle, ms: 95 %',
    digits: 2,
    of: ({ roundTrips: all }) => all.map((calls) => quantile(calls, 0.95)),
  },
  {
    figure: 'RSS of the worker, MB',
    digits: 0,
    of: ({ executed }) => executed.map(({ rssMb }) => rssMb.at(-1) ?? NaN),
  },
];

endWithChildren();
try {
  await withScratchDatabase(required('LOVAGE_RESULTS'), async ({ url, client }) => {
    const { subjects, skipped } = subjectsOn(url, client);
    report(await measure(subjects, client), skipped);
  });
} catch (error) {
  if (!isInterrupted()) throw error;
}

/** All subjects use one database, each with tables of its own. */
function subjectsOn(url: string, client: pg.Client): { subjects: readonly Subject[]; skipped: readonly string[] } {
  const handWritten: Subject = {
    name: 'hand-written',
    environment: { LOVAGE_RESULTS: url },
    table: 'hand_written',
    prepare: [HAND_WRITTEN_POSTGRES, 'prepare'],
    caller: HAND_WRITTEN_POSTGRES,
    isLovage: false,
    worker: (queue) => [HAND_WRITTEN_POSTGRES, 'work', queue],
    clear: async () => void (await client.query('truncate hand_queue, hand_protocol, hand_written')),
  };
  const lovage = { prepare: [CLI, 'migrate', '-A', LOVAGE], caller: LOVAGE, isLovage: true };
  const onPostgres: Subject = {
    ...lovage,
    name: 'lovage',
    environment: { LOVAGE_BROKER: url, LOVAGE_RESULTS: url, LOVAGE_RESULTS_SCHEMA: 'lovage' },
    table: 'lovage.task_results',
    worker: (queue) => lovageWorker(queue, CONCURRENCY),
    clear: async () => void (await client.query('truncate lovage.outbox, lovage.task_results')),
  };
  const broker = process.env['LOVAGE_BROKER'] ?? '';
  if (!/^amqps?:/.test(broker)) {
    return {
      subjects: [handWritten, onPostgres],
      skipped: ['lovage on RabbitMQ: LOVAGE_BROKER is no amqp URL'],
    };
  }
  const onRabbit: Subject = {
    ...lovage,
    name: 'on RabbitMQ',
    // A schema of its own: beside RabbitMQ a worker publishes whatever is due in the outbox, which is the other subject's queue.
    environment: { LOVAGE_BROKER: broker, LOVAGE_RESULTS: url, LOVAGE_RESULTS_SCHEMA: 'lovage_rabbitmq' },
    table: 'lovage_rabbitmq.task_results',
    worker: (queue) => lovageWorker(queue, CONCURRENCY),
    clear: async (queue) => {
      await deleteQueues(broker, withSides(queue));
      await client.query('truncate lovage_rabbitmq.task_results');
    },
  };
  return { subjects: [handWritten, onPostgres, onRabbit], skipped: [] };
}

async function measure(subjects: readonly Subject[], client: pg.Client): Promise<readonly Measured[]> {
  const measured: readonly Measured[] = subjects.map((subject) => ({
    subject,
    figures: { enqueued: [], enqueuedProtocol: [], enqueuedMany: [], executed: [], roundTrips: [] },
  }));
  const withLovage = measured.filter(({ subject }) => subject.isLovage);
  const byHand = measured.filter(({ subject }) => !subject.isLovage);
  for (const { prepare, environment } of subjects) await succeed(prepare, { env: environment });
  for (let round = 0; round < ROUNDS; round++) {
    await onEmptyTables(subjects, async (queue) => {
      for (const { subject, figures } of measured) figures.enqueued.push(await enqueue(subject, 'enqueue', queue));
      // What autovacuum does within a minute: the planner knows that the queue is full.
      await client.query('analyze');
      for (const { subject, figures } of measured) {
        const { name, table, environment: env } = subject;
        figures.executed.push(await execute(client, { name, table, tasks: TASKS, worker: subject.worker(queue), env }));
      }
    });
    await onEmptyTables(subjects, async (queue) => {
      for (const { subject, figures } of byHand)
        figures.enqueuedProtocol.push(await enqueue(subject, 'enqueue-protocol', queue));
      for (const { subject, figures } of withLovage)
        figures.enqueuedMany.push(await enqueue(subject, 'enqueue-many', queue));
    });
    await onEmptyTables(subjects, async (queue) => {
      for (const { subject, figures } of withLovage) figures.roundTrips.push(await roundTrips(subject, queue));
    });
  }
  return measured;
}

async function onEmptyTables(subjects: readonly Subject[], work: (queue: string) => Promise<void>): Promise<void> {
  const queue = `bench-postgres-${randomUUID()}`;
  try {
    await work(queue);
  } finally {
    for (const subject of subjects) await subject.clear(queue);
  }
}

function enqueue({ caller, environment }: Subject, mode: Mode, queue: string): Promise<number> {
  return rateOf([caller, mode, queue, String(TASKS)], { env: environment });
}

/** Milliseconds from delay() to the result, one call at a time; caller and worker are two processes. */
async function roundTrips(subject: Subject, queue: string): Promise<readonly number[]> {
  const worker = start(subject.worker(queue), { env: subject.environment });
  try {
    const args = [subject.caller, 'round-trip', queue, String(CALLS)];
    return (await lastLineOf<{ milliseconds: number[] }>(args, { env: subject.environment })).milliseconds;
  } finally {
    await stop(worker);
  }
}

function report(measured: readonly Measured[], skipped: readonly string[]): void {
  const [hand, onPostgres, onRabbit] = measured.map(({ figures }) => figures);
  const lines = LINES.map(({ figure, digits, of, byHand = of, goal }) => {
    const series = {
      hand: hand === undefined ? [] : byHand(hand),
      postgres: onPostgres === undefined ? [] : of(onPostgres),
      rabbit: onRabbit === undefined ? [] : of(onRabbit),
    };
    return {
      figure,
      digits,
      handWritten: median(series.hand),
      lovage: median(series.postgres),
      ratio: ratio(series.postgres, series.hand),
      goal,
      onRabbit: median(series.rabbit),
      rabbitToPostgres: ratio(series.rabbit, series.postgres),
    };
  });
  if (asJson) {
    console.log(JSON.stringify({ tasks: TASKS, rounds: ROUNDS, node: process.version, lines, skipped }));
    return;
  }
  console.log(
    `\n${TASKS.toLocaleString('en')} tasks, ${ROUNDS} round(s), Node ${process.version}; medians, a second where nothing else is said; ratio: median of the rounds' own ratios`,
  );
  for (const { figure, digits, goal, ...line } of lines) {
    const wanted = goal === undefined ? '' : ` (goal ${goal})`;
    console.log(
      `  ${figure.padEnd(28)} hand-written ${format(line.handWritten, digits)}   lovage ${format(line.lovage, digits)}   ratio ${format(line.ratio, 2).trim()}${wanted.padEnd(11)}` +
        `   on RabbitMQ ${format(line.onRabbit, digits)}   RabbitMQ/PostgreSQL ${format(line.rabbitToPostgres, 2).trim()}`,
    );
  }
  for (const reason of skipped) console.log(`  skipped: ${reason}`);
}
