import { hostname } from 'node:os';
import { LovageError, isLovageError } from '../errors/lovage-error.js';
import { draftOf, pendingOf } from '../execution/completion-of.js';
import { bodyProblem } from '../message/sendable.js';
import { decodeTask, encodeTask } from '../message/task-codec.js';
import type { Message } from '../message/message.js';
import type { MessageRules } from '../message/message-rules.js';
import type { TaskEnvelope } from '../message/task-request.js';
import { encodeArgs, encodeKwargs } from '../payload/payload-mapper.js';
import { AsyncResult, type AsyncResultSource } from '../results/async-result.js';
import { REQUEUE } from '../state/task-state.js';
import { TaskContext } from '../task/task-context.js';
import type { TaskDefinition } from '../task/task-definition.js';
import { timeLimitsOf } from '../task/time-limits.js';
import { publishDeclared } from '../transport/publish-declared.js';
import { type CallOptions, expiryOf, needsOutbox, uniqueClaimOf } from './call-options.js';
import { TaskEnqueuer } from './task-enqueuer.js';
import type { SenderHost, TaskTarget } from './sender-host.js';

/** What stands where text could not be stored (`sanitizeJson`). */
const REPLACEMENT = '\ufffd';

const ORIGIN = `${process.pid}@${hostname()}`;

/** Turns calls into messages and sends them. */
export class TaskSender {
  readonly #host: SenderHost;
  readonly #enqueuer: TaskEnqueuer;
  readonly #sources = new Map<TaskDefinition | null, AsyncResultSource>();

  constructor(host: SenderHost) {
    this.#host = host;
    this.#enqueuer = new TaskEnqueuer(host);
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
    const { route, queueSpec, rules } = routing instanceof Promise ? await routing : routing;
    const queue = options.queue ?? route(target.name, definition?.queue ?? null);
    const common = this.#common({ name: target.name, definition }, options, queue);
    const ids = calls.map(() => options.id ?? this.#host.runtime.uuid());
    const messages = ids.map((id, index) =>
      sealed(encodeTask({ ...common, id, rootId: common.rootId ?? id }, argsJson[index] ?? '[]', kwargsJson), rules),
    );
    if (needsOutbox(options)) {
      const stands = await this.#enqueuer.enqueue({ name: target.name, definition }, options, messages);
      if (stands !== null) return stands.map((id) => this.resultOf<Result>(id, definition));
    }
    let outcomes: readonly (LovageError | null)[];
    try {
      const transport = this.#host.transport();
      const open = transport instanceof Promise ? await transport : transport;
      outcomes = await publishDeclared(open, queueSpec, messages);
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

  /** Runs a task that failed once more, under its id. @throws as `Lovage.requeue`. */
  async requeue<Result>(id: string): Promise<AsyncResult<Result>> {
    const backend = await this.#host.backend();
    const [record] = await backend.find({ ids: [id] });
    const state = record?.state ?? null;
    if (record === undefined || state !== REQUEUE.from) throw notRequeuable(id, `it is ${state ?? 'unknown'}`);
    const { args, kwargs, task, queue, rootId } = record;
    if (args === null || kwargs === null) throw notRequeuable(id, 'its arguments were too large to be stored');
    const [argsJson, kwargsJson] = [JSON.stringify(args), JSON.stringify(kwargs)];
    if (`${argsJson}${kwargsJson}`.includes(REPLACEMENT)) {
      throw notRequeuable(
        id,
        'its arguments held characters that PostgreSQL cannot store, and were stored without them',
      );
    }
    const definition = this.#host.find(task) ?? null;
    const attempt = record.attempt + 1;
    const common = this.#common({ name: task, definition }, {}, queue);
    const unsealed = encodeTask(
      {
        ...common,
        id,
        rootId,
        parentId: record.parentId,
        groupId: record.groupId,
        attempt,
        republished: true,
        tracked: true,
      },
      argsJson,
      kwargsJson,
    );
    const message = sealed(unsealed, (await this.#host.routing()).rules);
    const outbox = await this.#host.outbox({ started: true });
    if (outbox === null) throw notRequeuable(id, 'this app runs its tasks inline (app.testing)');
    const draft = draftOf(decodeTask(message), { worker: null, maxSize: Infinity, message });
    const call = { rowId: this.#host.runtime.uuid(), taskId: id, task, message, due: { inMs: 0 }, unique: null };
    if (await outbox.requeue({ ...call, record: pendingOf(draft, null) })) return this.resultOf<Result>(id, definition);
    throw notRequeuable(id, 'its record has changed meanwhile');
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
      timeLimits: timeLimitsOf(options),
      replyTo: this.#host.replyTo(),
      // An id that the caller chose may have been sent before: the worker looks it up (rule 3).
      republished: options.id !== undefined,
      unique: uniqueClaimOf(target.name, options),
      tracked: needsOutbox(options) && (target.definition?.ignoreResult !== true || options.unique !== undefined),
      unknownSince: null,
      origin: ORIGIN,
      headers: options.headers ?? {},
    };
  }
}

/** The message as it is sent. Throws LOVAGE_PAYLOAD if it is too large; LOVAGE_CONFIG if it cannot be signed. */
function sealed(message: Message, { maxSize, signer }: MessageRules): Message {
  const problem = bodyProblem(message, maxSize);
  if (problem === null) return signer === null ? message : signer.sign(message);
  throw new LovageError(
    'LOVAGE_PAYLOAD',
    `the call of ${message.headers['task'] as string} cannot be sent: ${problem}`,
  );
}

function notRequeuable(id: string, why: string): LovageError {
  return new LovageError(
    'LOVAGE_USAGE',
    `task ${id} cannot be run once more: expected a ${REQUEUE.from} with its arguments, but ${why}`,
  );
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
