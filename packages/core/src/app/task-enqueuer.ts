import { LovageError } from '../errors/lovage-error.js';
import { draftOf, leavesRecord, pendingOf } from '../execution/completion-of.js';
import type { Message } from '../message/message.js';
import { headersProblem } from '../message/sendable.js';
import { decodeTask } from '../message/task-codec.js';
import type { Outbox, OutboxCall } from '../outbox/outbox.js';
import { publishDeclared } from '../transport/publish-declared.js';
import { type CallOptions, dueOf, uniqueClaimOf } from './call-options.js';
import type { SenderHost, TaskTarget } from './sender-host.js';

/** Writes calls to the outbox: those that wait, belong to a transaction, or must be known before they are sent. */
export class TaskEnqueuer {
  readonly #host: SenderHost;

  constructor(host: SenderHost) {
    this.#host = host;
  }

  /**
   * Writes calls to the outbox, and sends those that are due now and not in the hands of a transaction. Resolves with the ids of the tasks that stand for the calls; null: this
   * app runs its tasks inline, at once.
   */
  async enqueue(
    target: TaskTarget,
    options: CallOptions,
    messages: readonly Message[],
  ): Promise<readonly string[] | null> {
    const { tx = null } = options;
    const outbox = await this.#host.outbox({ started: tx === null });
    if (outbox === null) return null;
    const { maxSize } = await this.#host.routing();
    const scheduled = dueOf(options);
    // In a transaction only a relay sends: the process may know of no broker, and nothing of the commit. And what is written to the queue itself is sent.
    const isSentFromHere = scheduled === null && tx === null && !(await this.#host.isQueueTable(outbox));
    const due = scheduled ?? (isSentFromHere ? null : { inMs: 0 });
    const unique = uniqueClaimOf(target.name, options);
    // One key, one task: of many calls in one go the first stands for all.
    const distinct = unique === null ? messages : messages.slice(0, 1);
    const calls = distinct.map((message): OutboxCall => {
      const reason = headersProblem(message);
      if (reason !== null)
        throw new LovageError('LOVAGE_PAYLOAD', `the call of ${target.name} cannot be sent: ${reason}`);
      const request = decodeTask(message);
      const record = leavesRecord(request, target.definition)
        ? pendingOf(draftOf(request, { worker: null, maxSize, message }), scheduled)
        : null;
      return { rowId: this.#host.runtime.uuid(), taskId: request.id, task: target.name, message, due, record, unique };
    });
    const results = await outbox.enqueue(calls, { tx });
    const written = calls.filter((_, index) => results[index]?.written === true);
    if (due === null) await this.#sendNow(outbox, written);
    if (this.#host.events.has('task:sent')) {
      for (const { taskId, task, message } of written)
        this.#host.events.emit('task:sent', { id: taskId, task, queue: message.queue });
    }
    return messages.map((_, index) => (results[index] ?? results[0])?.taskId as string);
  }

  /** What is not sent here stays in the outbox, for a relay: no reason to fail a call that is as good as sent. */
  async #sendNow(outbox: Outbox, calls: readonly OutboxCall[]): Promise<void> {
    if (calls.length === 0) return;
    try {
      const transport = await this.#host.transport();
      const { queueSpec } = await this.#host.routing();
      const messages = calls.map(({ message }) => message);
      const outcomes = await publishDeclared(transport, queueSpec, messages);
      await outbox.remove(calls.filter((_, index) => outcomes[index] === null).map(({ rowId }) => rowId));
    } catch (error) {
      this.#host.events.emit('warning', {
        message: `${calls.length} call(s) of ${calls[0]?.task ?? ''} are stored and could not be sent from here: a relay sends them`,
        error: error as Error,
      });
    }
  }
}
