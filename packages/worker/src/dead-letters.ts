import {
  LovageError,
  deadQueueOf,
  type EventSink,
  type Message,
  type QueueSpec,
  type Runtime,
  type Transport,
} from '@lovage/core';
import type { Held } from './intake.js';
import { letterHeaders } from './letter-headers.js';
import type { Retrier } from './retrier.js';

export interface DeadLetter {
  readonly held: Held;
  /** The task's id, if it could be read. */
  readonly id: string | null;
  /** Why nobody can run it, for people. */
  readonly reason: string;
}

export interface DeadLettersOptions {
  readonly transport: Transport;
  /** How a queue is declared, and its dead-letter queue with it. */
  readonly queueSpec: (queue: string) => QueueSpec;
  readonly retrier: Retrier;
  readonly events: EventSink;
  readonly runtime: Runtime;
  /** The worker's name, told in the header x-lovage-worker. */
  readonly worker: string;
}

const BATCH = 100;
/** A reason may quote the message; headers have little room. */
const MAX_REASON = 2_000;

/**
 * Moves messages that no worker can run to `<queue>.dead`: published with confirms, body and headers as they were (see `letterHeaders`), with
 * headers that say why; acknowledged only then. What the broker does not take is tried again and stays unacknowledged.
 */
export class DeadLetters {
  readonly #options: DeadLettersOptions;
  #waiting: DeadLetter[] = [];
  #busy = false;
  #idle: (() => void)[] = [];

  constructor(options: DeadLettersOptions) {
    this.#options = options;
  }

  push(letter: DeadLetter): void {
    this.#waiting.push(letter);
    if (this.#busy) return;
    this.#busy = true;
    setImmediate(() => void this.#work());
  }

  /** Resolves when nothing waits. */
  idle(): Promise<void> {
    return this.#busy ? new Promise((resolve) => this.#idle.push(resolve)) : Promise.resolve();
  }

  async #work(): Promise<void> {
    const { retrier } = this.#options;
    try {
      await retrier.untilStopped(async () => {
        while (this.#waiting.length > 0) await retrier.run(() => this.#send());
      });
    } finally {
      this.#busy = false;
      for (const resolve of this.#idle.splice(0)) resolve();
    }
  }

  // Each attempt takes those that have waited longest; what fails waits again, behind the others: one bad letter holds up none.
  async #send(): Promise<void> {
    const batch = this.#waiting.splice(0, BATCH);
    const errors = await this.#publish(batch);
    const failed = batch.filter((_, index) => errors[index] !== null);
    this.#waiting.push(...failed);
    for (const [index, letter] of batch.entries()) if (errors[index] === null) this.#sent(letter);
    await this.#declareMissing(batch.filter((_, index) => errors[index]?.code === 'LOVAGE_UNROUTABLE'));
    if (failed.length === batch.length) throw errors[0] as LovageError;
  }

  /** Somebody deleted the queue for them: the next attempt finds it again. */
  async #declareMissing(letters: readonly DeadLetter[]): Promise<void> {
    if (letters.length === 0) return;
    const queues = new Set(letters.map(({ held }) => held.intake.queue));
    await this.#options.transport.declare([...queues].map(this.#options.queueSpec));
  }

  async #publish(batch: readonly DeadLetter[]): Promise<readonly (LovageError | null)[]> {
    try {
      return await this.#options.transport.publish(batch.map((letter) => this.#messageOf(letter)));
    } catch (error) {
      const cause = new LovageError('LOVAGE_PUBLISH', 'the transport could not publish dead letters', { cause: error });
      return batch.map(() => cause);
    }
  }

  #messageOf({ held, reason }: DeadLetter): Message {
    const { message } = held.delivery;
    const { runtime, worker } = this.#options;
    return {
      ...message,
      queue: deadQueueOf(held.intake.queue),
      headers: letterHeaders(message.headers, {
        'x-lovage-reason': reason.slice(0, MAX_REASON),
        'x-lovage-queue': held.intake.queue,
        'x-lovage-worker': worker,
        'x-lovage-time': new Date(runtime.now()).toISOString(),
      }),
    };
  }

  #sent({ held, id, reason }: DeadLetter): void {
    held.intake.settle(held.delivery);
    const { queue } = held.intake;
    this.#options.events.emit('message:dead', { queue, deadQueue: deadQueueOf(queue), id, reason });
  }
}
