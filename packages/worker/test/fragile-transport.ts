import { LovageError, MemoryTransport, type Message, type QueueSpec } from '@lovage/core';

/** The in-memory broker, that can go away, refuse messages, and be stopped between a claim and a publish. */
export class FragileTransport extends MemoryTransport {
  away = false;
  /** Queues whose messages the broker refuses. */
  readonly refused = new Set<string>();
  /** Queues that cannot be declared. */
  readonly mismatched = new Set<string>();
  /** What was taken, in order. */
  readonly taken: Message[] = [];
  /** Batches that were to be published. */
  attempts = 0;
  /** Called before each batch; what it throws is the publish's error. */
  before: (messages: readonly Message[]) => void | Promise<void> = () => undefined;
  #watchers: (() => void)[] = [];

  override async declare(queues: readonly QueueSpec[]): Promise<void> {
    const wrong = queues.find(({ name }) => this.mismatched.has(name));
    if (wrong !== undefined) throw new LovageError('LOVAGE_QUEUE_MISMATCH', `the queue '${wrong.name}' is another`);
    await super.declare(queues);
  }

  override async publish(messages: readonly Message[]): Promise<readonly (LovageError | null)[]> {
    await this.before(messages);
    const errors = await Promise.all(messages.map((message) => this.#take(message)));
    this.attempts += 1;
    for (const watcher of this.#watchers.splice(0)) watcher();
    return errors;
  }

  /** Resolves once this holds, looked at after each publish. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#watchers.push(resolve));
  }

  async #take(message: Message): Promise<LovageError | null> {
    if (this.away) return new LovageError('LOVAGE_BROKER_UNAVAILABLE', 'the broker is away');
    if (this.refused.has(message.queue)) return new LovageError('LOVAGE_PUBLISH', 'the broker refused it');
    const [error = null] = await super.publish([message]);
    if (error === null) this.taken.push(message);
    return error;
  }
}
