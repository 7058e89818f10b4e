import type { EventSink, TaskRegistry, TransportCapabilities } from '@lovage/core';
import type { Execution } from './execution.js';
import type { Parking } from './parking.js';
import type { Pipeline } from './pipeline.js';

/** How long a delivery is held, and what follows; all in milliseconds. */
export interface HoldLimits {
  /** Unstarted for so long it goes back to its queue. */
  readonly waitMs: number;
  /** Held for so long it is parked. */
  readonly parkMs: number;
  /** How long a parked task is its worker's without a sign of life. */
  readonly leaseMs: number;
  /** How often all that is looked at, and leases are renewed. */
  readonly everyMs: number;
}

const MINUTE_MS = 60_000;

/**
 * A task is parked at half the broker's timeout, so that there is as long to do it in, whatever the database does meanwhile. The rest are fractions too, so that a short timeout
 * shortens all; with RabbitMQ's half an hour: 5 min unstarted, 15 min held, a lease of 5 min, a look each minute. A long one makes them no longer: what waits could run elsewhere. null: the
 * broker has patience.
 */
export function holdLimitsOf({ consumerTimeoutMs }: TransportCapabilities): HoldLimits | null {
  if (consumerTimeoutMs === undefined) return null;
  return {
    waitMs: Math.min(consumerTimeoutMs / 6, 5 * MINUTE_MS),
    parkMs: consumerTimeoutMs / 2,
    leaseMs: Math.min(consumerTimeoutMs / 6, 5 * MINUTE_MS),
    everyMs: Math.min(consumerTimeoutMs / 30, MINUTE_MS),
  };
}

export interface HoldWatchOptions {
  readonly pipeline: Pick<Pipeline, 'in' | 'giveBack' | 'countParked'>;
  /** null: there is no outbox to park anything in. */
  readonly parking: Parking | null;
  readonly limits: HoldLimits;
  readonly tasks: TaskRegistry;
  readonly events: EventSink;
}

/** Sees to it that no delivery is held until the broker's patience is at its end: it would take back all that the consumer has, and give it to others. */
export class HoldWatch {
  readonly #options: HoldWatchOptions;
  readonly #warned = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(options: HoldWatchOptions) {
    this.#options = options;
  }

  start(): void {
    if (this.#options.parking === null) this.#warnOfLimits();
    this.#schedule();
  }

  /** Resolves when nothing of it is under way. Idempotent. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    await this.#looking;
    await this.#options.parking?.idle();
  }

  #schedule(): void {
    const look = () => void (this.#looking = this.#look());
    this.#timer = setTimeout(look, this.#options.limits.everyMs).unref();
  }

  async #look(): Promise<void> {
    const { parking, pipeline, limits } = this.#options;
    this.#giveBack(longerThan(limits.waitMs, pipeline.in('waiting')));
    const long = longerThan(limits.parkMs, pipeline.in('running'));
    if (parking === null) this.#warn(long);
    else await Promise.all([parking.renew(), parking.park(long)]);
    pipeline.countParked(long);
    if (!this.#isStopped) this.#schedule();
  }

  #giveBack(executions: readonly Execution[]): void {
    if (executions.length === 0) return;
    const { pipeline, events, limits } = this.#options;
    pipeline.giveBack(executions);
    events.emit('warning', {
      message: `${executions.length} task(s) waited here for ${minutes(limits.waitMs)} unstarted and went back to their queues, for any worker to take; if that comes often, give worker.prefetch a lower number`,
    });
  }

  #warnOfLimits(): void {
    const { tasks, limits, events } = this.#options;
    const timeoutMs = 2 * limits.parkMs;
    const long = tasks.list().flatMap(({ name, timeLimits }) => ((timeLimits?.hardMs ?? 0) > timeoutMs ? [name] : []));
    if (long.length === 0) return;
    events.emit('warning', {
      message: `the timeLimit of ${long.join(', ')} is longer than broker.consumerTimeout, ${minutes(timeoutMs)}: what runs for so long is given to another worker as well; with results it would be kept in the outbox`,
    });
  }

  #warn(executions: readonly Execution[]): void {
    for (const { request } of executions) {
      if (this.#warned.has(request.task)) continue;
      this.#warned.add(request.task);
      const { parkMs } = this.#options.limits;
      this.#options.events.emit('warning', {
        message: `task ${request.task}[${request.id}] runs for ${minutes(parkMs)} already; after ${minutes(2 * parkMs)} the broker gives it to another worker as well: with results it would be kept in the outbox`,
      });
    }
  }
}

function longerThan(ms: number, executions: readonly Execution[]): readonly Execution[] {
  return executions.filter(({ custody }) => (custody.heldMs ?? 0) > ms);
}

function minutes(ms: number): string {
  return ms < MINUTE_MS ? `${Math.round(ms / 1_000)} s` : `${Math.round(ms / MINUTE_MS)} min`;
}
