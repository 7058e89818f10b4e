import { hostname } from 'node:os';
import { LovageError, isLovageError } from '../errors/lovage-error.js';
import type { LovageEvents } from '../events/events.js';
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
import { PublishRounds } from './publish-rounds.js';
import { TaskEnqueuer } from './task-enqueuer.js';
import type { Routing, SenderHost, TaskTarget } from './sender-host.js';

/** What stands where text could not be stored (`sanitizeJson`). */
const REPLACEMENT = '\ufffd';

const ORIGIN = `${process.pid}@${hostname()}`;

/** Turns calls into messages and sends them. */
export class TaskSender {
  readonly #host: SenderHost;
  readonly #enqueuer: TaskEnqueuer;
  readonly #rounds: PublishRounds;
  readonly #sources = new Map<TaskDefinition | null, AsyncResultSource>();

  constructor(host: SenderHost) {
    this.#host = host;
    this.#enqueuer = new TaskEnqueuer(host);
    this.#rounds = new PublishRounds(host);
  }

  /** Sends one call. Nothing is awaited that is there: each `await` costs as much as encoding a few headers. */
  async sendOne<Result>(
    target: TaskTarget,
    options: CallOptions,
    args: readonly unknown[],
  ): Promise<AsyncResult<Result>> {
    if (needsOutbox(options) || this.#host.isInline()) {
      const [result] = await this.sendMany<Result>(target, options, [args]);
      return result as AsyncResult<Result>;
    }
    const definition = this.#definitionOf(target);
    const argsJson = encodeArgs(definition, args);
    const routing = this.#host.routing();
    const ready = routing instanceof Promise ? await routing : routing;
    const encode = this.#encoder({ name: target.name, definition }, options, ready);
    const id = options.id ?? this.#host.runtime.uuid();
    const message = encode(id, argsJson);
    const round = this.#rounds.add(message);
    const index = round.messages.length - 1;
    let outcomes: readonly (LovageError | null)[];
    try {
      outcomes = await round.outcomes;
    } catch (error) {
      throw withIds(error, [id]);
    }
    const error = outcomes[index] ?? null;
    if (error !== null) throw withIds(error, [id]);
    this.#announce({ id, task: target.name, queue: message.queue });
    return this.resultOf<Result>(id, definition);
  }

  /** Sends calls of one task, in one round of confirms. */
  async sendMany<Result>(
    target: TaskTarget,
    options: CallOptions,
    calls: readonly (readonly unknown[])[],
  ): Promise<AsyncResult<Result>[]> {
    const definition = this.#definitionOf(target);
    const argsJson = calls.map((args) => encodeArgs(definition, args));
    const routing = await this.#host.routing();
    const encode = this.#encoder({ name: target.name, definition }, options, routing);
    const ids = calls.map(() => options.id ?? this.#host.runtime.uuid());
    const messages = ids.map((id, index) => encode(id, argsJson[index] ?? '[]'));
    if (needsOutbox(options)) {
      const stands = await this.#enqueuer.enqueue({ name: target.name, definition }, options, messages);
      if (stands !== null) return stands.map((id) => this.resultOf<Result>(id, definition));
    }
    let outcomes: readonly (LovageError | null)[];
    try {
      outcomes = await publishDeclared(await this.#host.transport(), routing.queueSpec, messages);
    } catch (error) {
      throw withIds(error, ids);
    }
    messages.forEach(({ queue }, index) => {
      if (outcomes[index] === null) this.#announce({ id: ids[index] as string, task: target.name, queue });
    });
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
    const envelopeOf = this.#envelopes({ name: task, definition }, {}, queue);
    const unsealed = encodeTask(
      {
        ...envelopeOf(id),
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

  #definitionOf({ name, definition }: TaskTarget): TaskDefinition | null {
    return definition ?? this.#host.find(name) ?? null;
  }

  #announce(sent: LovageEvents['task:sent']): void {
    if (this.#host.events.has('task:sent')) this.#host.events.emit('task:sent', sent);
  }

  /** Makes the messages of calls that are made now, by the call's id and arguments. */
  #encoder(
    target: TaskTarget,
    options: CallOptions,
    { route, rules }: Routing,
  ): (id: string, argsJson: string) => Message {
    const queue = options.queue ?? route(target.name, target.definition?.queue ?? null);
    const envelopeOf = this.#envelopes(target, options, queue);
    const kwargsJson = options.kwargs === undefined ? '{}' : encodeKwargs(options.kwargs);
    return (id, argsJson) => sealed(encodeTask(envelopeOf(id), argsJson, kwargsJson), rules);
  }

  /** What the calls of one `send` say, by their ids. Each is one literal: copied with `...`, so many properties cost 2.4 µs. */
  #envelopes(target: TaskTarget, options: CallOptions, queue: string): (id: string) => TaskEnvelope {
    const parent = TaskContext.find();
    const ignoresResult = target.definition?.ignoreResult === true;
    const expires = expiryOf(options, this.#host.runtime);
    const timeLimits = timeLimitsOf(options);
    const unique = uniqueClaimOf(target.name, options);
    const tracked = needsOutbox(options) && (!ignoresResult || options.unique !== undefined);
    const replyTo = this.#host.replyTo();
    const headers = options.headers ?? {};
    return (id) => ({
      id,
      task: target.name,
      queue,
      attempt: 0,
      retries: 0,
      expires,
      eta: null,
      parentId: parent?.id ?? null,
      rootId: parent?.rootId ?? id,
      groupId: null,
      priority: options.priority ?? null,
      shadow: options.shadow ?? null,
      ignoreResult: ignoresResult ? true : null,
      timeLimits,
      replyTo,
      // An id that the caller chose may have been sent before: the worker looks it up (rule 3).
      republished: options.id !== undefined,
      unique,
      tracked,
      unknownSince: null,
      origin: ORIGIN,
      headers,
    });
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
