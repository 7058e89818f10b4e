import { hostname } from 'node:os';
import { LovageError } from '../errors/lovage-error.js';
import type { EventBus } from '../events/event-bus.js';
import type { Message } from '../message/message.js';
import { encodeTask } from '../message/task-codec.js';
import type { TaskEnvelope } from '../message/task-request.js';
import { encodeArgs, encodeKwargs } from '../payload/payload-mapper.js';
import { AsyncResult } from '../results/async-result.js';
import type { ResultBackend } from '../results/result-backend.js';
import type { Runtime } from '../runtime/runtime.js';
import { TaskContext } from '../task/task-context.js';
import type { TaskDefinition } from '../task/task-definition.js';
import type { QueueSpec, Transport } from '../transport/transport.js';
import { type CallOptions, expiryOf } from './call-options.js';

/** Which task a handle sends. */
export interface TaskTarget {
  readonly name: string;
  /** null: its code is elsewhere. */
  readonly definition: TaskDefinition | null;
}

/** What is needed to send. */
export interface Outbound {
  readonly transport: Transport;
  route(task: string, taskQueue: string | null): string;
  queueSpec(queue: string): QueueSpec;
}

export interface SenderHost {
  readonly runtime: Runtime;
  readonly events: EventBus;
  /** Connects to the broker, if that has not been done. */
  outbound(): Promise<Outbound>;
  /** Connects to the results; throws LOVAGE_RESULTS_NOT_CONFIGURED for an app without. */
  backend(): Promise<ResultBackend>;
  /** Where this process listens for ends; null until somebody waits. */
  replyTo(): string | null;
}

const ORIGIN = `${process.pid}@${hostname()}`;

/** Turns calls into messages and sends them. */
export class TaskSender {
  readonly #host: SenderHost;

  constructor(host: SenderHost) {
    this.#host = host;
  }

  async send<Result>(
    target: TaskTarget,
    options: CallOptions,
    calls: readonly (readonly unknown[])[],
  ): Promise<AsyncResult<Result>[]> {
    const argsJson = calls.map((args) => encodeArgs(target.definition, args));
    const kwargsJson = options.kwargs === undefined ? '{}' : encodeKwargs(options.kwargs);
    const { transport, route, queueSpec } = await this.#host.outbound();
    const queue = options.queue ?? route(target.name, target.definition?.queue ?? null);
    await transport.declare([queueSpec(queue)]);

    const common = this.#common(target, options, queue);
    const envelopes = calls.map((): TaskEnvelope => {
      const id = options.id ?? this.#host.runtime.uuid();
      return { ...common, id, rootId: common.rootId ?? id };
    });
    const messages = envelopes.map((envelope, index): Message =>
      encodeTask(envelope, argsJson[index] ?? '[]', kwargsJson),
    );
    const outcomes = await transport.publish(messages);
    if (outcomes.some((outcome) => outcome !== null)) throw publishFailure(target, outcomes);
    return envelopes.map(({ id }) => {
      this.#host.events.emit('task:sent', { id, task: target.name, queue });
      return this.resultOf<Result>(id, target.definition);
    });
  }

  /** The result of a call sent before, here or elsewhere. */
  resultOf<Result>(id: string, definition: TaskDefinition | null): AsyncResult<Result> {
    return new AsyncResult<Result>(id, {
      backend: () => this.#host.backend(),
      definition,
      ignored: definition?.ignoreResult ?? false,
    });
  }

  /** What all calls of one `send` share. */
  #common(
    target: TaskTarget,
    options: CallOptions,
    queue: string,
  ): Omit<TaskEnvelope, 'id' | 'rootId'> & { readonly rootId: string | null } {
    const parent = TaskContext.find();
    return {
      task: target.name,
      queue,
      attempt: 0,
      retries: 0,
      expires: expiryOf(options, this.#host.runtime),
      eta: null,
      parentId: parent?.id ?? null,
      rootId: parent?.rootId ?? null,
      groupId: null,
      priority: options.priority ?? null,
      shadow: options.shadow ?? null,
      ignoreResult: target.definition?.ignoreResult ?? null,
      replyTo: this.#host.replyTo(),
      // An id that the caller chose may have been sent before: the worker looks it up (rule 3).
      republished: options.id !== undefined,
      origin: ORIGIN,
      headers: options.headers ?? {},
    };
  }
}

function publishFailure(target: TaskTarget, outcomes: readonly (LovageError | null)[]): LovageError {
  const failed = outcomes.flatMap((error, index) => (error === null ? [] : [{ error, index }]));
  const first = failed[0]?.error ?? new LovageError('LOVAGE_PUBLISH', 'the broker did not take the message');
  if (outcomes.length === 1) return first;
  const indexes = failed.map(({ index }) => index);
  const which = indexes.length <= 10 ? indexes.join(', ') : `${indexes.slice(0, 10).join(', ')}, …`;
  return new LovageError(
    first.code,
    `${failed.length} of ${outcomes.length} calls of ${target.name} were not sent (index ${which}): ${first.message}`,
    { cause: new AggregateError(failed.map(({ error }) => error)) },
  );
}
