import { LovageError, deadQueueOf, expected, lostQueueOf } from '@lovage/core';
import type { QueueSpec } from '@lovage/core';
import type { OpenConnection } from '../connection/connection-supervisor.js';
import { inTime } from '../channel/in-time.js';
import { withScratchChannel } from '../channel/with-scratch-channel.js';
import { declarationsOf } from './queue-arguments.js';
import { queueError } from './queue-error.js';

/** A queue's name is a short string, and its longest companion ends in five more bytes. */
const MAX_NAME_BYTES = 255 - '.lost'.length;

/** Stands in a connection's map for every queue whose declaration has ended well. */
const DECLARED = Promise.resolve();

/** Which queues must be there: declared once a connection, remembered, and declared again after a reconnection or a deletion. */
export class Topology {
  /** By the name of each queue that belongs to a specification. */
  readonly #known = new Map<string, QueueSpec>();
  /** What has been declared, or is being declared, on a connection. Goes with the connection. */
  readonly #done = new WeakMap<OpenConnection, Map<string, Promise<void>>>();
  readonly #answerTimeoutMs: number;

  /** @param answerTimeoutMs how long the broker may take to declare one queue; then it may be asked again. */
  constructor(answerTimeoutMs: number) {
    this.#answerTimeoutMs = answerTimeoutMs;
  }

  /** As `Transport.declare`, on this connection. Callers that want the same queue at the same time share one round. */
  async declare(connection: OpenConnection, specs: readonly QueueSpec[]): Promise<void> {
    await Promise.all(specs.map((spec) => this.#declareOnce(connection, spec)));
  }

  /** All of it has been declared on this connection: `declare` would do nothing. For the path of every publish. */
  isDeclared(connection: OpenConnection, specs: readonly QueueSpec[]): boolean {
    const done = this.#doneOn(connection);
    return specs.every((spec) => done.get(keyOf(spec)) === DECLARED);
  }

  /** Declares all that is known, after a reconnection: the broker may be another one, or have lost its disk. Gives what failed. */
  async restore(connection: OpenConnection): Promise<readonly unknown[]> {
    const specs = new Set(this.#known.values());
    const outcomes = await Promise.allSettled([...specs].map((spec) => this.#declareOnce(connection, spec)));
    return outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []));
  }

  /** Declares a queue again that its consumer has missed. One that was never declared here is left alone. */
  async redeclare(connection: OpenConnection, queue: string): Promise<void> {
    const spec = this.#known.get(queue);
    if (spec === undefined) return;
    this.forget(connection, queue);
    await this.#declareOnce(connection, spec);
  }

  /** The queue is gone: the next `declare` that names it asks the broker again. */
  forget(connection: OpenConnection, queue: string): void {
    const spec = this.#known.get(queue);
    if (spec !== undefined) this.#doneOn(connection).delete(keyOf(spec));
  }

  #declareOnce(connection: OpenConnection, spec: QueueSpec): Promise<void> {
    const done = this.#doneOn(connection);
    const key = keyOf(spec);
    const known = done.get(key);
    if (known !== undefined) return known;
    const declared = this.#declareNow(connection, spec);
    done.set(key, declared);
    declared.then(
      () => done.set(key, DECLARED),
      () => done.delete(key),
    );
    return declared;
  }

  async #declareNow(connection: OpenConnection, spec: QueueSpec): Promise<void> {
    if (spec.name === '' || Buffer.byteLength(spec.name) > MAX_NAME_BYTES) {
      throw new LovageError('LOVAGE_USAGE', expected('a queue name', `1 to ${MAX_NAME_BYTES} bytes long`, spec.name));
    }
    const declared = withScratchChannel(connection.model, async (channel) => {
      if (!spec.declare) await about(spec.name, channel.checkQueue(spec.name));
      for (const queue of declarationsOf(spec)) {
        await about(queue.name, channel.assertQueue(queue.name, { durable: true, arguments: queue.arguments }));
      }
    });
    await inTime(declared, { ms: this.#answerTimeoutMs, what: `to the declaration of the queue '${spec.name}'` });
    for (const name of [spec.name, lostQueueOf(spec.name), deadQueueOf(spec.name)]) this.#known.set(name, spec);
  }

  #doneOn(connection: OpenConnection): Map<string, Promise<void>> {
    const done = this.#done.get(connection) ?? new Map<string, Promise<void>>();
    this.#done.set(connection, done);
    return done;
  }
}

function keyOf({ name, type, maxPriority, declare }: QueueSpec): string {
  return `${type} ${maxPriority} ${declare} ${name}`;
}

async function about(queue: string, answer: Promise<unknown>): Promise<void> {
  try {
    await answer;
  } catch (error) {
    throw queueError(error, queue);
  }
}
