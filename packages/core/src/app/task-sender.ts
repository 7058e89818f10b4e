import { hostname } from 'node:os';
import { LovageError, isLovageError } from '../errors/lovage-error.js';
import type { EventBus } from '../events/event-bus.js';
import type { Message } from '../message/message.js';
import { encodeTask } from '../message/task-codec.js';
import type { TaskEnvelope } from '../message/task-request.js';
import { encodeArgs, encodeKwargs } from '../payload/payload-mapper.js';
import { AsyncResult, type AsyncResultSource } from '../results/async-result.js';
import type { ResultBackend } from '../results/result-backend.js';
import type { Runtime } from '../runtime/runtime.js';
import { TaskContext } from '../task/task-context.js';
import type { TaskDefinition } from '../task/task-definition.js';
import type { QueueSpec, Transport } from '../transport/transport.js';
import { type CallOptions, expiryOf } from './call-options.js';
import type { Router } from './router.js';

/** Which task a handle sends. */
export interface TaskTarget {
  readonly name: string;
  /** null: its code is elsewhere. */
  readonly definition: TaskDefinition | null;
}

/** Where calls go, by the app's configuration alone. */
export interface Routing {
  readonly route: Router;
  readonly queueSpec: (queue: string) => QueueSpec;
}

export interface SenderHost {
  readonly runtime: Runtime;
  readonly events: EventBus;
  /** Aborts when the app is stopped. */
  readonly stopped: AbortSignal;
  /** The code of a task, if this app has it. */
  find(task: string): TaskDefinition | undefined;
  routing(): Routing | Promise<Routing>;
  /** Connects to the broker, if that has not been done. */
  transport(): Transport | Promise<Transport>;
  /** Connects to the results; throws LOVAGE_RESULTS_NOT_CONFIGURED for an app without. */
  readonly backend: () => Promise<ResultBackend>;
  /** Where this process listens for ends; null until somebody waits. */
  replyTo(): string | null;
}

const ORIGIN = `${process.pid}@${hostname()}`;

/** Turns calls into messages and sends them. */
export class TaskSender {
  readonly #host: SenderHost;
  readonly #sources = new Map<TaskDefinition | null, AsyncResultSource>();

  constructor(host: SenderHost) {
    this.#host = host;
  }

  /** Sends calls of one task, in one round of confirms. */
  async send<Result>(
    target: TaskTarget,
    options: CallOptions,
    calls: readonly (readonly unknown[])[],
  ): Promise<AsyncResult<Result>[]> {
    const definition = target.definition ?? this.#host.find(target.name) ?? null;
    const argsJson = calls.map((args) => encodeArgs(definition, args));
    const kwargsJson = options.kwargs === undefined ? '{}' : encodeKwargs(options.kwargs);
    // Awaited only until they are there: each turn of the microtask queue is a twentieth of what a delay() costs.
    const routing = this.#host.routing();
    const { route, queueSpec } = routing instanceof Promise ? await routing : routing;
    const queue = options.queue ?? route(target.name, definition?.queue ?? null);
    const common = this.#common({ name: target.name, definition }, options, queue);
    const ids = calls.map(() => options.id ?? this.#host.runtime.uuid());
    const messages = ids.map((id, index) =>
      encodeTask({ ...common, id, rootId: common.rootId ?? id }, argsJson[index] ?? '[]', kwargsJson),
    );
    let outcomes: readonly (LovageError | null)[];
    try {
      const transport = this.#host.transport();
      const open = transport instanceof Promise ? await transport : transport;
      outcomes = await publishTo(open, queueSpec(queue), messages);
    } catch (error) {
      throw withIds(error, ids);
    }
    if (this.#host.events.has('task:sent')) {
      ids.forEach((id, index) => {
        if (outcomes[index] === null) this.#host.events.emit('task:sent', { id, task: target.name, queue });
      });
    }
    assertSent(target, ids, outcomes);
    return ids.map((id) => this.resultOf<Result>(id, definition));
  }

  /** The result of a call sent before, here or elsewhere. */
  resultOf<Result>(id: string, definition: TaskDefinition | null): AsyncResult<Result> {
    return new AsyncResult<Result>(id, this.#sourceOf(definition));
  }

  // One for all results of a task, of which a process may hold many.
  #sourceOf(definition: TaskDefinition | null): AsyncResultSource {
    let source = this.#sources.get(definition);
    if (source === undefined) {
      const { backend, stopped } = this.#host;
      source = { backend, definition, ignored: definition?.ignoreResult ?? false, stopped };
      this.#sources.set(definition, source);
    }
    return source;
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
      ignoreResult: target.definition?.ignoreResult === true ? true : null,
      replyTo: this.#host.replyTo(),
      // An id that the caller chose may have been sent before: the worker looks it up (rule 3).
      republished: options.id !== undefined,
      origin: ORIGIN,
      headers: options.headers ?? {},
    };
  }
}

/** Declares the queue and publishes; a queue that was deleted since is declared anew, once: nothing was taken of what came back. */
async function publishTo(
  transport: Transport,
  queue: QueueSpec,
  messages: readonly Message[],
): Promise<readonly (LovageError | null)[]> {
  await transport.declare([queue]);
  const outcomes = await transport.publish(messages);
  if (outcomes.every((outcome) => outcome?.code !== 'LOVAGE_UNROUTABLE')) return outcomes;
  const returned = messages.filter((_, index) => outcomes[index]?.code === 'LOVAGE_UNROUTABLE');
  await transport.declare([queue]);
  const again = [...(await transport.publish(returned))];
  return outcomes.map((outcome) => (outcome?.code === 'LOVAGE_UNROUTABLE' ? (again.shift() ?? null) : outcome));
}

/** The same error, with the ids of the calls that it ended: some may have been taken all the same. */
function withIds(error: unknown, ids: readonly string[]): unknown {
  if (!isLovageError(error)) return error;
  const details = ids.length === 1 ? { id: ids[0] } : { ids };
  return new LovageError(error.code, error.message, { cause: error.cause, details });
}

function assertSent(target: TaskTarget, ids: readonly string[], outcomes: readonly (LovageError | null)[]): void {
  const failed = outcomes.flatMap((error, index) => (error === null ? [] : [{ index, id: ids[index], error }]));
  const first = failed[0];
  if (first === undefined) return;
  const { code, message } = first.error;
  if (ids.length === 1) throw withIds(first.error, ids);
  const summary = `${failed.length} of ${ids.length} calls of ${target.name} were not sent (see details.failed): ${message}`;
  throw new LovageError(code, summary, { cause: first.error, details: { ids, failed } });
}
