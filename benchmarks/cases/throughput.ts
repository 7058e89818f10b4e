import { type Comparison, defineCase, type Figure, reading } from '../runner/case.js';
import type { Ground } from '../runner/ground.js';
import { handWritten } from '../subjects/hand-written.js';
import { lovage } from '../subjects/lovage.js';
import { callerTurnOf, turnOf } from '../subjects/subject.js';
import { turnsIn } from '../support/calibrate.js';

export const throughput = defineCase({
  name: 'throughput',
  measures: 'calls and tasks a second, beside loops written by hand',
  options: {
    tasks: { full: 50_000, small: 1_000, doc: 'tasks of a turn' },
    processes: { full: [1, 2, 4], small: [2], doc: 'worker processes' },
    payloads: { full: [100, 10_000, 1_000_000], small: [10_000], doc: 'bytes of an argument' },
    durations: { full: [0, 1, 10, 100], small: [1], doc: 'milliseconds that a task sleeps' },
    burns: { full: 1_000, small: 20, doc: 'tasks of 10 ms of processor time' },
  },
  async *comparisons(ground, { tasks, ...options }) {
    yield await enqueueing(ground, tasks);
    yield await executing(ground, tasks);
    yield await objects(ground, tasks);
    for (const size of options.payloads) yield await payloads(ground, { tasks, size });
    for (const size of options.durations) yield await sleeping(ground, { tasks, size });
    yield processes(ground, { tasks, counts: options.processes });
    yield computing(ground, options.burns);
  },
});

export async function enqueueing(ground: Ground, tasks: number): Promise<Comparison> {
  const subject = lovage(ground);
  const raw = await handWritten(ground, { store: false });
  const same = await handWritten(ground, { store: false, protocol: true });
  const few = Math.ceil(tasks / 20);
  return {
    title: 'enqueue',
    turns: [
      callerTurnOf(subject, { tasks: few, how: 'single' }, 'delay(), awaited'),
      callerTurnOf(raw, { tasks: few, how: 'single' }, 'raw amqplib, awaited'),
      callerTurnOf(subject, { tasks }, 'delay(), pipelined'),
      callerTurnOf(raw, { tasks }, 'raw amqplib, confirms'),
      callerTurnOf(same, { tasks }, 'raw amqplib, same message'),
      callerTurnOf(subject, { tasks, how: 'bulk' }, 'delayMany'),
    ],
    figures: [
      enqueued('enqueue, one by one', 'delay(), awaited', 'raw amqplib, awaited'),
      { ...enqueued('enqueue, pipelined', 'delay(), pipelined', 'raw amqplib, confirms'), goal: { atLeast: 0.85 } },
      enqueued('enqueue, pipelined', 'delay(), pipelined', 'raw amqplib, same message'),
      enqueued('enqueue, by 1,000', 'delayMany', 'raw amqplib, confirms'),
    ],
  };
}

async function executing(ground: Ground, tasks: number): Promise<Comparison> {
  const subjects = [
    lovage(ground),
    await handWritten(ground),
    await handWritten(ground, { name: 'hand-written, same rows', protocol: true }),
    lovage(ground, { name: 'lovage, as it comes', concurrency: null }),
    lovage(ground, { name: 'lovage, ignoreResult', ignoreResult: true }),
    await handWritten(ground, { store: false }),
  ];
  return {
    title: 'execute, no-op tasks',
    turns: subjects.map((subject) => turnOf(subject, { tasks })),
    figures: [
      { ...executed('execute, results stored', 'lovage', 'hand-written'), goal: { atLeast: 0.8 } },
      executed('execute, results stored', 'lovage', 'hand-written, same rows'),
      executed('execute, results stored', 'lovage, as it comes', 'hand-written'),
      executed('execute, no results', 'lovage, ignoreResult', 'raw amqplib'),
      worker('processor time of the worker, a task', 'cpu', 'µs'),
      worker('RSS of the worker at the end', 'rss', 'MB'),
    ],
  };
}

/** What an argument costs that class-transformer makes an instance of its class. */
async function objects(ground: Ground, tasks: number): Promise<Comparison> {
  const subject = lovage(ground);
  const byHand = await handWritten(ground);
  return {
    title: 'a DTO of four nested objects as the argument',
    turns: [
      { ...turnOf(subject, { tasks, kind: 'order' }), name: 'lovage, @Arg class' },
      { ...turnOf(byHand, { tasks, kind: 'order' }), name: 'hand-written, class-transformer' },
      { ...turnOf(subject, { tasks, kind: 'object' }), name: 'lovage, plain object' },
    ],
    figures: [
      executed('execute, DTO', 'lovage, @Arg class', 'hand-written, class-transformer'),
      executed('execute, DTO', 'lovage, @Arg class', 'lovage, plain object'),
      enqueued('enqueue, DTO', 'lovage, @Arg class', 'hand-written, class-transformer'),
    ],
  };
}

/** So many bytes in one queue at most. */
const QUEUED_BYTES = 200e6;

async function payloads(ground: Ground, { tasks, size }: SizedTasks): Promise<Comparison> {
  const load = { kind: 'text' as const, size, tasks: Math.min(tasks, Math.floor(QUEUED_BYTES / size)) };
  return {
    title: `an argument of ${size.toLocaleString('en')} bytes`,
    turns: [turnOf(lovage(ground), load), turnOf(await handWritten(ground), load)],
    figures: [
      enqueued(`enqueue, ${size.toLocaleString('en')} bytes`, 'lovage', 'hand-written'),
      executed(`execute, ${size.toLocaleString('en')} bytes`, 'lovage', 'hand-written'),
    ],
  };
}

/** Both hold 2,000 tasks at once. */
async function sleeping(ground: Ground, { tasks, size }: SizedTasks): Promise<Comparison> {
  const load = { kind: 'sleep' as const, size, tasks };
  return {
    title: `tasks that sleep ${size} ms`,
    turns: [
      turnOf(lovage(ground), load),
      turnOf(await handWritten(ground), load),
      turnOf(lovage(ground, { name: 'lovage, as it comes', concurrency: null }), load),
    ],
    figures: [
      executed(`execute, ${size} ms`, 'lovage', 'hand-written'),
      executed(`execute, ${size} ms`, 'lovage, as it comes', 'hand-written'),
    ],
  };
}

function processes(ground: Ground, { tasks, counts }: ProcessTasks): Comparison {
  const more = counts.filter((count) => count > 1);
  return {
    title: 'no-op tasks in several worker processes',
    turns: [1, ...more].map((count) =>
      turnOf(lovage(ground, { name: inProcesses(count), processes: count }), { tasks }),
    ),
    figures: more.map((count) => executed('execute, no-op', inProcesses(count), inProcesses(1))),
  };
}

export function computing(ground: Ground, tasks: number): Comparison {
  const load = { kind: 'burn' as const, size: turnsIn(10), tasks };
  // One at a time: a worker that computes is to hold few tasks that another could run.
  const subject = (count: number) => lovage(ground, { name: inProcesses(count), processes: count, concurrency: 1 });
  return {
    title: 'tasks of 10 ms of processor time',
    turns: [turnOf(subject(2), load), turnOf(subject(1), load)],
    figures: [
      { ...executed('execute, 10 ms of processor time', inProcesses(2), inProcesses(1)), goal: { atLeast: 1.7 } },
    ],
  };
}

interface ProcessTasks {
  readonly tasks: number;
  readonly counts: readonly number[];
}

interface SizedTasks {
  readonly tasks: number;
  readonly size: number;
}

function inProcesses(count: number): string {
  return `lovage, ${count} process${count === 1 ? '' : 'es'}`;
}

export function executed(figure: string, name: string, beside: string): Figure {
  return { figure, unit: '/s', of: reading(name, 'execute'), beside: reading(beside, 'execute') };
}

export function enqueued(figure: string, name: string, beside: string): Figure {
  return { figure, unit: '/s', of: reading(name, 'enqueue'), beside: reading(beside, 'enqueue') };
}

function worker(figure: string, key: string, unit: Figure['unit']): Figure {
  return { figure, unit, of: reading('lovage', key), beside: reading('hand-written', key) };
}
