import { type Comparison, defineCase } from '../runner/case.js';
import { startUp, memory } from './footprint.js';
import { besideBacklogs, besideRows } from './growth.js';
import { idle } from './latency.js';
import { besidePeers } from './peers.js';
import { computing, enqueueing } from './throughput.js';

/** The figures that have a goal, and only the turns that they need. */
export const bar = defineCase({
  name: 'bar',
  measures: 'the figures that Lovage sets itself a goal for, each reached or not',
  options: {
    tasks: { full: 50_000, small: 500, doc: 'tasks of a turn' },
    calls: { full: 1_000, small: 20, doc: 'round trips of a turn' },
    starts: { full: 5, small: 1, doc: 'starts of a turn' },
    'tasks-before': { full: 100_000, small: 1_000, doc: 'tasks before memory is read for the first time' },
    'tasks-after': { full: 1_000_000, small: 3_000, doc: 'tasks before memory is read for the last time' },
    settle: { full: 5_000, small: 300, doc: 'milliseconds without a task before memory is read' },
    'growth-tasks': { full: 30_000, small: 500, doc: 'tasks beside a backlog or rows' },
    backlogs: { full: [1_000, 1_000_000], small: [100, 2_000], doc: 'messages that wait' },
    rows: { full: [1_000, 20_000_000], small: [100, 5_000], doc: 'rows that are there' },
    burns: { full: 1_000, small: 20, doc: 'tasks of 10 ms of processor time' },
  },
  async *comparisons(ground, options) {
    yield withGoals(await besidePeers(ground, options.tasks));
    yield withGoals(await enqueueing(ground, options.tasks));
    yield withGoals(await idle(ground, options.calls));
    yield withGoals(startUp(ground, options.starts));
    yield withGoals(computing(ground, options.burns));
    yield withGoals(
      memory(ground, { before: options['tasks-before'], after: options['tasks-after'], settle: options.settle }),
    );
    const tasks = options['growth-tasks'];
    for await (const comparison of besideBacklogs(ground, { tasks, sizes: options.backlogs }))
      yield withGoals(comparison);
    for await (const comparison of besideRows(ground, { tasks, sizes: options.rows })) yield withGoals(comparison);
  },
});

function withGoals(comparison: Comparison): Comparison {
  const figures = comparison.figures.filter(({ goal }) => goal !== undefined);
  const needed = new Set(figures.flatMap(({ of, beside }) => [of.turn, beside?.turn]));
  return { ...comparison, figures, turns: comparison.turns.filter(({ name }) => needed.has(name)) };
}
