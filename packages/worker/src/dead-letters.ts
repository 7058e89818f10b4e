import { LovageError, deadQueueOf, type EventSink, type Message, type Runtime, type Transport } from '@lovage/core';
import type { Held } from './intake.js';
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
 * Moves messages that no worker can run to `<queue>.dead`: published with confirms, body and headers as they were, with headers that say
 * why; acknowledged only then. What the broker does not take is tried again and stays unacknowledged.
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
    try {
      while (this.#waiting.length > 0) await this.#send(this.#waiting.splice(0, BATCH));
    } catch {
      // The retrier was told to stop: what is not acknowledged goes back to its queue.
    } finally {
      this.#busy = false;
      for (const resolve of this.#idle.splice(0)) resolve();
    }
  }

  async #send(batch: readonly DeadLetter[]): Promise<void> {
    const { transport, retrier } = this.#options;
    let left = batch;
    await retrier.run(async () => {
      const errors = await transport.publish(left.map((letter) => this.#messageOf(letter)));
      const failed = left.filter((letter, index) => {
        if (errors[index] === null) this.#sent(letter);
        return errors[index] !== null;
      });
      const error = errors.find((each) => each !== null);
      left = failed;
      if (error !== undefined)
        throw error ?? new LovageError('LOVAGE_PUBLISH', 'the broker did not take a dead letter');
    });
  }

  #messageOf({ held, reason }: DeadLetter): Message {
    const { message } = held.delivery;
    const { runtime, worker } = this.#options;
    return {
      ...message,
      queue: deadQueueOf(held.intake.queue),
      headers: {
        ...message.headers,
        'x-lovage-reason': reason.slice(0, MAX_REASON),
        'x-lovage-queue': held.intake.queue,
        'x-lovage-worker': worker,
        'x-lovage-time': new Date(runtime.now()).toISOString(),
      },
    };
  }

  #sent({ held, id, reason }: DeadLetter): void {
    held.intake.settle(held.delivery);
    const { queue } = held.intake;
    this.#options.events.emit('message:dead', { queue, deadQueue: deadQueueOf(queue), id, reason });
  }
}
