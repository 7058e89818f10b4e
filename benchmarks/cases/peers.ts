import { type Comparison, defineCase, type Figure, reading, type Turn } from '../runner/case.js';
import type { Ground } from '../runner/ground.js';
import { bullmq } from '../subjects/bullmq.js';
import { celery } from '../subjects/celery.js';
import { graphileWorker } from '../subjects/graphile-worker.js';
import { handWritten } from '../subjects/hand-written.js';
import { lovage } from '../subjects/lovage.js';
import { pgBoss } from '../subjects/pg-boss.js';
import { callerTurnOf, type Subject, turnOf } from '../subjects/subject.js';
import { enqueued, executed } from './throughput.js';

export const peers = defineCase({
  name: 'peers',
  measures: 'the same no-op task in other systems, each as fast as it gets',
  options: { tasks: { full: 50_000, small: 500, doc: 'tasks of a turn; fewer where a peer is slow' } },
  async *comparisons(ground, { tasks }) {
    yield await besidePeers(ground, tasks);
  },
});

interface Peer {
  readonly subject: Subject;
  /** Of the tasks: what it does in about the time that the others need. */
  readonly share: number;
  readonly goal?: Figure['goal'];
  /** false: it has no call for many tasks. */
  readonly bulk: boolean;
}

export async function besidePeers(ground: Ground, tasks: number): Promise<Comparison> {
  const subject = lovage(ground);
  const all = await peersOn(ground);
  const bulk = all.filter((one) => one.bulk);
  const few = (share: number): number => Math.max(20, Math.ceil(tasks * share));
  const byThousand = (name: string): string => `${name}, by 1,000`;
  const many = ({ subject: one, share }: Pick<Peer, 'subject' | 'share'>): Turn =>
    callerTurnOf(one, { tasks: few(share), how: 'bulk' }, byThousand(one.name));
  return {
    title: 'no-op tasks, one worker process',
    turns: [
      turnOf(subject, { tasks }),
      ...all.map((one) => turnOf(one.subject, { tasks: few(one.share) })),
      many({ subject, share: 1 }),
      ...bulk.map(many),
    ],
    figures: [
      ...all.map(({ subject: { name }, goal }) => ({ ...executed('execute', 'lovage', name), ...(goal && { goal }) })),
      ...all.map(({ subject: { name } }) => enqueued('enqueue, call by call', 'lovage', name)),
      ...bulk.map(({ subject: { name } }) => enqueued('enqueue, by 1,000', byThousand('lovage'), byThousand(name))),
      ...all.map(({ subject: { name } }): Figure => ({
        figure: 'processor time of the worker, a task',
        unit: 'µs',
        of: reading('lovage', 'cpu'),
        beside: reading(name, 'cpu'),
      })),
    ],
  };
}

async function peersOn(ground: Ground): Promise<readonly Peer[]> {
  const noResult = { goal: { atLeast: 1 } };
  const redis = await ground.redis();
  const python = ground.celery();
  const pools = ['solo', 'prefork'] as const;
  return [
    { subject: await handWritten(ground), share: 1, bulk: false, goal: { atLeast: 0.8 } },
    { subject: await handWritten(ground, { store: false }), share: 1, bulk: false },
    ...(redis === null ? [] : [{ subject: bullmq(redis), share: 0.5, bulk: true, goal: { atLeast: 1.5 } }]),
    { subject: await graphileWorker(ground), share: 0.5, bulk: true, ...noResult },
    { subject: await pgBoss(ground), share: 0.5, bulk: true, ...noResult },
    ...(python === null
      ? []
      : pools.flatMap((pool) => [
          { subject: celery(python, ground, { pool, results: false }), share: 0.1, bulk: false, ...noResult },
          {
            subject: celery(python, ground, { pool, results: true }),
            share: 0.02,
            bulk: false,
            goal: { atLeast: 20 },
          },
        ])),
  ];
}
