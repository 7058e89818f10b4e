import type { CeleryPeer } from '../../test/interop/celery-peer.js';
import { type Comparison, defineCase, type Figure, type Goal, reading, type Turn } from '../runner/case.js';
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
  /** The same of calls made one by one, where it also has one call for many; those fill its queue then. */
  readonly calls?: number;
  readonly goal?: Goal;
}

export async function besidePeers(ground: Ground, tasks: number): Promise<Comparison> {
  const all = await peersOn(ground);
  const peers = all.slice(1);
  const few = (share: number): number => Math.max(20, Math.ceil(tasks * share));
  const named = (list: readonly Peer[]): readonly string[] => list.map(({ subject: { name } }) => name);
  return {
    title: 'no-op tasks, one worker process',
    turns: all.flatMap(({ subject, share, calls }): readonly Turn[] =>
      calls === undefined
        ? [turnOf(subject, { tasks: few(share) })]
        : [
            turnOf(subject, { tasks: few(share), how: 'bulk' }),
            callerTurnOf(subject, { tasks: few(calls) }, callByCall(subject.name)),
          ],
    ),
    figures: [
      ...peers.map(({ subject: { name }, goal }) => ({
        ...executed('execute', 'lovage', name),
        ...(goal && { goal }),
      })),
      ...peers.map(({ subject: { name }, calls }) =>
        enqueued('enqueue, call by call', callByCall('lovage'), calls === undefined ? name : callByCall(name)),
      ),
      ...named(peers.filter(({ calls }) => calls !== undefined)).map((name) =>
        enqueued('enqueue, by 1,000', 'lovage', name),
      ),
      ...named(peers).map((name): Figure => ({
        figure: 'processor time of the worker, a task',
        unit: 'µs',
        of: reading('lovage', 'cpu'),
        beside: reading(name, 'cpu'),
      })),
    ],
  };
}

function callByCall(name: string): string {
  return `${name}, call by call`;
}

/** Lovage comes first. */
async function peersOn(ground: Ground): Promise<readonly Peer[]> {
  const redis = await ground.redis();
  const python = ground.celery();
  const noResults = { goal: { atLeast: 1 } };
  return [
    { subject: lovage(ground), share: 1, calls: 1 },
    { subject: await handWritten(ground), share: 1, goal: { atLeast: 0.8 } },
    { subject: await handWritten(ground, { store: false }), share: 1 },
    ...(redis === null ? [] : [{ subject: bullmq(redis), share: 0.5, calls: 0.5, goal: { atLeast: 1.5 } }]),
    { subject: await graphileWorker(ground), share: 0.5, calls: 0.05, ...noResults },
    { subject: await pgBoss(ground), share: 0.5, calls: 0.1, ...noResults },
    ...(python === null ? [] : celeryPeers(python, ground)),
  ];
}

function celeryPeers(python: CeleryPeer, ground: Ground): readonly Peer[] {
  const [noResults, results] = [{ atLeast: 1 }, { atLeast: 20 }];
  return [
    { subject: celery(python, ground, { pool: 'solo', results: false }), share: 0.1, goal: noResults },
    { subject: celery(python, ground, { pool: 'prefork', results: false }), share: 0.1, goal: noResults },
    // It connects for each result.
    { subject: celery(python, ground, { pool: 'solo', results: true }), share: 0.005, goal: results },
    { subject: celery(python, ground, { pool: 'prefork', results: true }), share: 0.02, goal: results },
  ];
}
