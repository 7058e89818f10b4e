import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { type Comparison, defineCase, type Figure, reading, type Readings, type Turn } from '../runner/case.js';
import type { Ground } from '../runner/ground.js';
import { celeryWorker } from '../subjects/celery.js';
import { lovage } from '../subjects/lovage.js';
import { type Load, ownQueue, type Subject } from '../subjects/subject.js';
import { waitFor } from '../support/execution.js';
import { type Command, type Service, withService } from '../support/processes.js';
import { rssOf } from '../support/usage.js';

export const footprint = defineCase({
  name: 'footprint',
  measures: 'how soon a worker is ready, and its memory over many tasks',
  options: {
    starts: { full: 5, small: 1, doc: 'starts of a turn, of which the median counts' },
    'tasks-before': { full: 100_000, small: 1_000, doc: 'tasks before memory is read for the first time' },
    'tasks-after': { full: 1_000_000, small: 3_000, doc: 'tasks before memory is read for the last time' },
    settle: { full: 5_000, small: 300, doc: 'milliseconds without a task before memory is read' },
  },
  async *comparisons(ground, options) {
    yield startUp(ground, options.starts);
    yield memory(ground, {
      before: options['tasks-before'],
      after: options['tasks-after'],
      settle: options.settle,
    });
  },
});

const READY_WITHIN_MS = 30_000;

/** From the start of the process to the line of its log that says that it consumes. */
export function startUp(ground: Ground, starts: number): Comparison {
  const subject = lovage(ground, { concurrency: null });
  const python = ground.celery();
  const started = (queue: string): Command => subject.worker({ queue, tasks: 0 }, []);
  const turns = [startTurn(subject.name, { starts, command: started, clear: (load) => subject.clear(load) })];
  const ready: Figure = { figure: 'worker ready after its start', unit: 's', of: reading(subject.name, 'ready') };
  const figures: Figure[] = [
    { ...ready, goal: { atMost: 0.6 } },
    { figure: 'RSS of a worker that is ready', unit: 'MB', of: reading(subject.name, 'rss') },
  ];
  if (python !== null) {
    const name = 'Celery solo';
    const options = { pool: 'solo' as const, results: true, loglevel: 'info' };
    const command = (queue: string): Command => celeryWorker(python, ground, { ...options, load: { queue, tasks: 0 } });
    turns.push(startTurn(name, { starts, command, clear: (load) => subject.clear(load) }));
    figures.push({ ...ready, beside: reading(name, 'ready'), goal: { atMost: 1 } });
  }
  return { title: 'start-up', turns, figures };
}

interface StartTurn {
  readonly starts: number;
  readonly command: (queue: string) => Command;
  readonly clear: Subject['clear'];
}

function startTurn(name: string, { starts, command, clear }: StartTurn): Turn {
  return {
    name,
    async take() {
      const load = { queue: ownQueue(), tasks: 0 };
      const readings: { readonly ready: number; readonly rss: number }[] = [];
      for (let n = 0; n < starts; n++) {
        const since = performance.now();
        const worker = { name: `the worker of ${name}`, command: command(load.queue) };
        readings.push(
          await withService(worker, async (service) => {
            await untilReady(service);
            return { ready: (performance.now() - since) / 1000, rss: rssOf(service.child.pid) };
          }),
        );
      }
      await clear(load);
      readings.sort((a, b) => a.ready - b.ready);
      return { ...(readings[Math.floor(readings.length / 2)] ?? { ready: NaN, rss: NaN }) };
    },
  };
}

async function untilReady({ child, log }: Service): Promise<void> {
  child.stdout?.resume();
  const signal = AbortSignal.timeout(READY_WITHIN_MS);
  while (!/\bready\b/.test(log())) {
    await once(child.stderr as NodeJS.ReadableStream, 'data', { signal }).catch(() => {
      throw new Error(`expected a worker to be ready within ${READY_WITHIN_MS / 1000} s, but it said only:\n${log()}`);
    });
  }
}

interface Memory {
  readonly before: number;
  readonly after: number;
  readonly settle: number;
}

/** Read in the one worker that runs them all; each time it has had nothing to do for a while. */
export function memory(ground: Ground, { before, after, settle }: Memory): Comparison {
  const name = 'lovage';
  const count = (tasks: number): string => tasks.toLocaleString('en');
  const value = (figure: string, key: string): Figure => ({ figure, unit: 'MB', of: reading(name, key) });
  return {
    title: `memory over ${count(after)} tasks`,
    rounds: 1,
    turns: [{ name, take: () => memoryOver(ground, { before, after, settle }) }],
    figures: [
      value('RSS, ready', 'idle'),
      value(`RSS, after ${count(before)}`, 'before'),
      value(`RSS, after ${count(after)}`, 'after'),
      value('RSS, most under load', 'most'),
      { ...value(`RSS, after ${count(after)} − after ${count(before)}`, 'growth'), goal: { atMost: 10 } },
    ],
  };
}

async function memoryOver(ground: Ground, { before, after, settle }: Memory): Promise<Readings> {
  const subject = lovage(ground);
  const load: Load = { queue: ownQueue(), tasks: after, how: 'bulk' };
  const { database } = ground;
  const worker = { name: 'the worker', command: subject.worker(load, ['--loglevel', 'warn']) };
  const rows = async (): Promise<number> =>
    Number((await database.query<{ n: string }>(`select count(*) as n from ${subject.table}`)).rows[0]?.n);
  try {
    return await withService(worker, async ({ child }) => {
      child.stdout?.resume();
      let most = 0;
      const sampling = setInterval(() => (most = Math.max(most, rssOf(child.pid))), 200);
      const settled = async (): Promise<number> => {
        await pause(settle);
        return rssOf(child.pid);
      };
      try {
        await pause(1_000);
        const idle = await settled();
        await Promise.all([
          subject.enqueue({ ...load, tasks: before }),
          waitFor({ name: 'lovage' }, { worker: child, done: rows, tasks: before }),
        ]);
        const early = await settled();
        await Promise.all([
          subject.enqueue({ ...load, tasks: after - before }),
          waitFor({ name: 'lovage' }, { worker: child, done: rows, tasks: after }),
        ]);
        const late = await settled();
        return { idle, before: early, after: late, most, growth: late - early };
      } finally {
        clearInterval(sampling);
      }
    });
  } finally {
    await subject.clear(load);
  }
}
