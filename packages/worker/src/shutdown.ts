import { LovageError } from '@lovage/core';
import { Deadline } from './deadline.js';
import type { HoldWatch } from './hold-watch.js';
import type { Intake } from './intake.js';
import type { Pipeline } from './pipeline.js';
import type { Pool } from './pool/pool.js';
import type { PrefetchTuner } from './prefetch/prefetch-tuner.js';
import type { FollowUps } from './relay/follow-ups.js';
import type { Retention } from './retention.js';
import type { Revocations } from './revocations/revocations.js';
import type { StopReport } from './worker-options.js';

/** What a started worker is made of. */
export interface WorkerParts {
  readonly pipeline: Pipeline;
  readonly pools: readonly Pool[];
  readonly intakes: readonly Intake[];
  /** null: every prefetch stays as it is. */
  readonly tuner: PrefetchTuner | null;
  readonly retention: Retention | null;
  /** null: nothing can be revoked. */
  readonly revocations: Revocations | null;
  /** null: there is no outbox. */
  readonly outbox: OutboxParts | null;
  /** null: deliveries may be held for ever. */
  readonly holdWatch: HoldWatch | null;
}

/** What sends from the outbox. */
export interface OutboxParts {
  readonly relay: { start(): Promise<void>; stop(): Promise<void> };
  readonly followUps: FollowUps;
  /** false: what is due is delivered from where it is written (`isQueueTable`), and only the clock is kept. */
  readonly sends: boolean;
}

/** How long aborted tasks have to end, and what has ended to be committed, once the deadline has passed. */
const GRACE_MS = 1_000;

/** Stops a worker's parts in order, against one deadline (rule 11). Every delivery ends acknowledged or back in its queue. */
export async function shutDown(parts: WorkerParts, deadline: Deadline): Promise<StopReport> {
  const { pipeline, pools, intakes, tuner, retention, revocations, outbox, holdWatch } = parts;
  const running = pipeline.in('running');

  // 1. Stop consuming, and await the broker's word: a delivery handed back before it would come straight here again.
  pipeline.pause();
  tuner?.stop();
  await soon(deadline, Promise.all(intakes.map((intake) => intake.cancel())));

  // 2. Hand back what has not started.
  const returned = pipeline.handBack('waiting');

  // 3. Let running tasks finish.
  if (!(await deadline.within(pipeline.idle()))) {
    // 4. Abort their signals; those that listen end now. That they did not end is the worker's doing.
    await within(GRACE_MS, pipeline.takeBackStarts());
    pipeline.interrupt(
      new LovageError(
        'LOVAGE_STOPPED',
        'the worker is stopping and can wait no longer; the task will run again elsewhere',
      ),
    );
    await within(GRACE_MS, pipeline.idle());
  }

  // 5. Hand the rest back; their outcomes are dropped.
  let abandoned = pipeline.interrupted + pipeline.handBack('running');

  // 6. Commit what has ended. A database that is away until the deadline gets it all back through the queue.
  await soon(deadline, pipeline.settledAll());
  pipeline.close();
  abandoned += pipeline.handBack('committing');

  // 7. Acknowledge.
  for (const intake of intakes) intake.flush();

  // 8. Send what those commits have caused, hand back what is parked, and end the relay. What is not sent is any other relay's.
  const sent = within(GRACE_MS, Promise.all([outbox?.followUps.idle(), holdWatch?.stop()]));
  await Promise.all([sent, outbox?.relay.stop()]);

  // 9. Close.
  const closing = [...intakes.map((intake) => intake.close()), ...pools.map((pool) => pool.stop())];
  await within(GRACE_MS, Promise.all([retention?.stop(), revocations?.stop(), ...closing]));
  return {
    finished: running.filter(({ phase }) => phase === 'settled').length,
    abandoned,
    returned,
    strays: pipeline.strays,
  };
}

/** Until the deadline, and for a short grace if that has passed. */
async function soon(deadline: Deadline, work: Promise<unknown>): Promise<void> {
  if (!(await deadline.within(work))) await within(GRACE_MS, work);
}

async function within(ms: number, work: Promise<unknown>): Promise<void> {
  const grace = new Deadline(ms);
  await grace.within(work);
  grace.pass();
}
