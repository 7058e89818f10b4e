import { type Comparison, defineCase, type Figure, reading, type Series, type Turn } from '../runner/case.js';
import type { Ground } from '../runner/ground.js';
import { handWrittenPostgres } from '../subjects/hand-written-postgres.js';
import { lovage, type LovageSubject, migrate } from '../subjects/lovage.js';
import { callerTurnOf, type Subject, turnOf } from '../subjects/subject.js';
import { executed, enqueued } from './throughput.js';
import { roundTrips } from './latency.js';

export const postgres = defineCase({
  name: 'postgres',
  measures: 'PostgreSQL as the broker too, beside RabbitMQ and beside a loop written by hand on PostgreSQL alone',
  options: {
    tasks: { full: 50_000, small: 1_000, doc: 'tasks of a turn' },
    calls: { full: 500, small: 20, doc: 'round trips of a turn' },
  },
  async *comparisons(ground, { tasks, calls }) {
    const [onPostgres, onRabbit] = await subjectsOn(ground);
    yield await rates(ground, { tasks, onPostgres, onRabbit });
    yield {
      title: 'round trip, idle',
      turns: [onPostgres, onRabbit].map((subject) => roundTrips(subject, { calls, perSecond: 0 })),
      figures: ['p50', 'p95'].map((key) => ({
        figure: `round trip, idle, ${key}`,
        unit: 'ms' as const,
        of: reading(onPostgres.name, key),
        beside: reading(onRabbit.name, key),
      })),
    };
  },
});

/** What Lovage is to reach of the loop written by hand. */
const GOAL = { goal: { atLeast: 0.7 } };

async function subjectsOn(ground: Ground): Promise<readonly [LovageSubject, LovageSubject]> {
  // A schema of its own: beside RabbitMQ a worker publishes whatever is due in the outbox, which is the other subject's queue.
  const schema = 'lovage_rabbitmq';
  await migrate(ground.results, schema);
  return [
    lovage(ground, { name: 'lovage on PostgreSQL', broker: ground.results }),
    lovage(ground, { name: 'lovage on RabbitMQ', schema }),
  ];
}

interface Rates {
  readonly tasks: number;
  readonly onPostgres: LovageSubject;
  readonly onRabbit: LovageSubject;
}

async function rates(ground: Ground, { tasks, onPostgres, onRabbit }: Rates): Promise<Comparison> {
  const byHand = await handWrittenPostgres(ground);
  const same = await handWrittenPostgres(ground, { name: 'hand-written, same message', protocol: true });
  const many = (subject: LovageSubject): Turn =>
    callerTurnOf(subject, { tasks, how: 'bulk' }, `${subject.name}, delayMany`);
  return {
    title: 'no-op tasks, results stored, one worker process',
    turns: [
      ...[onPostgres, byHand, onRabbit].map((subject) => turnOf(analyzed(ground, subject), { tasks })),
      callerTurnOf(same, { tasks }),
      many(onPostgres),
      many(onRabbit),
    ],
    figures: [
      { ...enqueued('enqueue, pipelined', onPostgres.name, byHand.name), ...GOAL },
      enqueued('enqueue, pipelined', onPostgres.name, same.name),
      enqueued('enqueue, pipelined', onPostgres.name, onRabbit.name),
      { ...enqueued('enqueue, by 1,000', `${onPostgres.name}, delayMany`, byHand.name), ...GOAL },
      enqueued('enqueue, by 1,000', `${onPostgres.name}, delayMany`, `${onRabbit.name}, delayMany`),
      { ...executed('execute', onPostgres.name, byHand.name), ...GOAL },
      executed('execute', onPostgres.name, onRabbit.name),
      { ...both(onPostgres.name, byHand.name), ...GOAL },
      both(onPostgres.name, onRabbit.name),
      rss(onPostgres.name, byHand.name),
      rss(onPostgres.name, onRabbit.name),
    ],
  };
}

/** What autovacuum does within a minute: the planner knows that the queue is full. */
function analyzed({ database }: Ground, subject: Subject): Subject {
  return {
    ...subject,
    execute: async (load) => {
      await database.query('analyze');
      return await subject.execute(load);
    },
  };
}

/** What one task costs in all, as a rate. */
function both(name: string, beside: string): Figure {
  const series = (turn: string): Series => {
    const [sent, run] = [reading(turn, 'enqueue'), reading(turn, 'execute')];
    return { name: turn, turn, of: (round) => 1 / (1 / sent.of(round) + 1 / run.of(round)) };
  };
  return { figure: 'enqueue and execute', unit: '/s', of: series(name), beside: series(beside) };
}

function rss(name: string, beside: string): Figure {
  return {
    figure: 'RSS of the worker at the end',
    unit: 'MB',
    of: reading(name, 'rss'),
    beside: reading(beside, 'rss'),
  };
}
