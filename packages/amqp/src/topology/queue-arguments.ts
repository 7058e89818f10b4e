import { deadQueueOf, lostQueueOf } from '@lovage/core';
import type { QueueSpec } from '@lovage/core';

export interface QueueDeclaration {
  readonly name: string;
  /** The `x-…` arguments. Part of a queue's identity: RabbitMQ refuses any other from then on (406), so these never change. */
  readonly arguments: Readonly<Record<string, unknown>>;
}

/**
 * A quorum queue out of which nothing is dropped:
 * - `x-delivery-limit`: RabbitMQ counts every hand-back and every lost connection as a delivery, so that a low limit would take
 *   innocent neighbours of a poisonous message. Poison is counted by workers (rule 5); this limit only ends what would loop for
 *   ever. Not absent: RabbitMQ 4 then takes 20. Not -1: 3.10.8 drops the message at its first requeue.
 * - the dead-letter target: what reaches the limit, or expires (Celery sets `expiration`), goes on to `<queue>.lost` instead of away.
 * - `at-least-once`: it is handed over with confirms inside the broker; the default (at-most-once) may lose it on the way.
 *   That strategy requires `reject-publish`, which matters only where a policy sets a length limit: the publisher gets a nack.
 */
function quorumArguments(name: string): QueueDeclaration['arguments'] {
  return {
    'x-queue-type': 'quorum',
    'x-delivery-limit': int32(1_000),
    'x-dead-letter-exchange': '',
    'x-dead-letter-routing-key': lostQueueOf(name),
    'x-dead-letter-strategy': 'at-least-once',
    'x-overflow': 'reject-publish',
  };
}

/**
 * `.lost` and `.dead` are the last stops: nothing stands behind them, so their limit is one that is never reached. They have no dead-letter
 * target on purpose, as only workers may decide what becomes of what is there.
 */
const LAST_STOP_ARGUMENTS = { 'x-queue-type': 'quorum', 'x-delivery-limit': int32(2 ** 31 - 1) };

/** Exactly what Celery (kombu) declares, so that both can: durable, and `x-max-priority` only where it is set. */
function classicArguments(maxPriority: number | null): QueueDeclaration['arguments'] {
  return maxPriority === null ? {} : { 'x-max-priority': int32(maxPriority) };
}

/** All queues that belong to `spec`, the targets before what points at them. */
export function declarationsOf(spec: QueueSpec): readonly QueueDeclaration[] {
  const dead = { name: deadQueueOf(spec.name), arguments: LAST_STOP_ARGUMENTS };
  if (!spec.declare) return [dead];
  if (spec.type === 'classic') return [dead, { name: spec.name, arguments: classicArguments(spec.maxPriority) }];
  const lost = { name: lostQueueOf(spec.name), arguments: LAST_STOP_ARGUMENTS };
  return [lost, dead, { name: spec.name, arguments: quorumArguments(spec.name) }];
}

function int32(value: number): unknown {
  return { '!': 'int32', value };
}
