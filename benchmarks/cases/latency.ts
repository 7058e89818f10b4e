import { type Comparison, defineCase, type Figure, reading, type Readings, type Turn } from '../runner/case.js';
import { quantile } from '../runner/figures.js';
import type { Ground } from '../runner/ground.js';
import { handWritten, type HandWrittenSubject } from '../subjects/hand-written.js';
import { lovage, type LovageSubject } from '../subjects/lovage.js';
import { ownQueue } from '../subjects/subject.js';
import { lastLineOf, withService } from '../support/processes.js';

export const latency = defineCase({
  name: 'latency',
  measures: 'from delay() to the value of get(), idle and while half of what is possible runs',
  options: {
    calls: { full: 1_000, small: 30, doc: 'round trips of a turn' },
    capacity: { full: 50_000, small: 1_000, doc: 'tasks by which the capacity is found' },
  },
  async *comparisons(ground, { calls, capacity }) {
    yield await idle(ground, calls);
    const perSecond = Math.round((await capacityOf(ground, capacity)) / 2);
    yield await underLoad(ground, { calls, perSecond });
  },
});

export type Caller = LovageSubject | HandWrittenSubject;

/** One call at a time; the caller and the worker are two processes. */
export async function idle(ground: Ground, calls: number): Promise<Comparison> {
  const [p50, ...others] = figuresOf('idle');
  return {
    title: 'round trip, idle',
    turns: (await callersOn(ground)).map((caller) => roundTrips(caller, { calls, perSecond: 0 })),
    figures: [...(p50 === undefined ? [] : [{ ...p50, goal: { atMost: 1.3 } }]), ...others],
  };
}

async function underLoad(ground: Ground, load: TimedCalls): Promise<Comparison> {
  const rate = load.perSecond.toLocaleString('en');
  return {
    title: `round trip, while ${rate} other tasks a second run: half of what Lovage sends and executes at once here`,
    turns: (await callersOn(ground)).map((caller) => roundTrips(caller, load)),
    figures: figuresOf('loaded'),
  };
}

export interface TimedCalls {
  readonly calls: number;
  /** Other tasks, sent meanwhile by a third process. */
  readonly perSecond: number;
}

async function callersOn(ground: Ground): Promise<readonly Caller[]> {
  return [lovage(ground), await handWritten(ground)];
}

export function roundTrips(caller: Caller, { calls, perSecond }: TimedCalls): Turn {
  const measure = async (queue: string): Promise<Readings> => {
    const load = { queue, tasks: calls };
    const { milliseconds } = await lastLineOf<{ milliseconds: number[] }>(caller.caller('round-trip', load));
    return { p50: quantile(milliseconds, 0.5), p95: quantile(milliseconds, 0.95), p99: quantile(milliseconds, 0.99) };
  };
  return {
    name: caller.name,
    async take() {
      const load = { queue: ownQueue(), tasks: calls };
      const worker = { name: `the worker of ${caller.name}`, command: caller.worker(load) };
      const paced = { name: `what loads ${caller.name}`, command: caller.caller('paced', { ...load, perSecond }) };
      try {
        return await withService(worker, async () =>
          perSecond === 0 ? await measure(load.queue) : await withService(paced, () => measure(load.queue)),
        );
      } finally {
        await caller.clear(load);
      }
    },
  };
}

/** Tasks a second while one process sends and one executes. */
async function capacityOf(ground: Ground, tasks: number): Promise<number> {
  const subject = lovage(ground);
  const load = { queue: ownQueue(), tasks };
  try {
    const [{ execute = NaN }] = await Promise.all([subject.execute(load), subject.enqueue(load)]);
    return execute;
  } finally {
    await subject.clear(load);
  }
}

function figuresOf(when: string): readonly Figure[] {
  return ['p50', 'p95', 'p99'].map((key) => ({
    figure: `round trip, ${when}, ${key}`,
    unit: 'ms',
    of: reading('lovage', key),
    beside: reading('hand-written', key),
  }));
}
