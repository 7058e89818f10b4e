import {
  completionOf,
  draftOf,
  keepsResult,
  leavesRecord,
  noteOf,
  parkedOf,
  type CommitResult,
  type Completion,
  type CompletionDraft,
  type ExecutionHost,
  type MessageSigner,
  type OutboxMessage,
  type Outcome,
  type Runtime,
  type TaskDefinition,
  type TaskLogger,
  type TaskRequest,
  type TaskResolver,
  type TaskState,
  type UniqueHold,
} from '@lovage/core';
import type { Commitment } from './committer.js';
import { Custody } from './custody.js';
import type { Held } from './intake.js';

/** What all executions of a worker share. */
export interface ExecutionContext {
  readonly worker: string;
  readonly resolver: TaskResolver;
  readonly runtime: Runtime;
  readonly maxSize: number;
  /** Signs what is sent once more; null: messages are not signed. */
  readonly signer: MessageSigner | null;
  /** false: the app has no results. */
  readonly stores: boolean;
  /** What is to be sent later, or with a commit, can be kept. */
  readonly canRetry: boolean;
  /** What a commit causes at once is sent from here; false: it is written to the queue itself. */
  readonly sends: boolean;
  logOf(request: TaskRequest): TaskLogger;
  /** A state on the way, to be written if it can be. */
  note(completion: Completion): void;
  settled(execution: Execution, result: CommitResult): void;
}

/**
 * Where an execution is: `waiting` for its look-up or a slot, `running`, `committing` its outcome; then `settled`, or `returned`
 * to its queue, after which nothing of it may be written.
 */
export type ExecutionPhase = 'waiting' | 'running' | 'committing' | 'settled' | 'returned';

/** One task held by this worker, from its admission until its deliveries are settled. */
export class Execution implements ExecutionHost, Commitment {
  readonly request: TaskRequest;
  /** null: this worker does not know the task, which is not run. */
  readonly definition: TaskDefinition | null;
  /** Its deliveries, or the row that stands for them. */
  readonly custody: Custody;
  phase: ExecutionPhase = 'waiting';
  /** Starts of its attempt that have no end (rule 5), as far as is known; its own among them once that is counted. */
  starts = 0;
  readonly #context: ExecutionContext;
  #isCounted = false;
  #drafted: CompletionDraft | null = null;
  #completion: Completion | null = null;
  #startedAt: number | null = null;
  #controller: AbortController | null = null;
  #abortReason: unknown;
  /** It was aborted by the worker's stop, or a revocation: a failure is not the task's own. */
  #isInterruption = false;
  #log: TaskLogger | null = null;

  constructor(
    held: Held,
    task: { readonly request: TaskRequest; readonly definition: TaskDefinition | null },
    context: ExecutionContext,
  ) {
    this.custody = new Custody(held, context.runtime);
    this.request = task.request;
    this.definition = task.definition;
    this.#context = context;
  }

  get resolver(): TaskResolver {
    return this.#context.resolver;
  }

  get runtime(): Runtime {
    return this.#context.runtime;
  }

  /** Made when a task first asks for it: most never do. */
  get signal(): AbortSignal {
    if (this.#controller === null) {
      this.#controller = new AbortController();
      if (this.#abortReason !== undefined) this.#controller.abort(this.#abortReason);
    }
    return this.#controller.signal;
  }

  get log(): TaskLogger {
    return (this.#log ??= this.#context.logOf(this.request));
  }

  /** How long the task has run, in milliseconds; null: it has not started. */
  get runtimeMs(): number | null {
    return this.#startedAt === null ? null : this.#context.runtime.monotonic() - this.#startedAt;
  }

  /** Another copy may have been run: its record is to be read before this one is (rule 3). */
  get isSuspicious(): boolean {
    return this.custody.redelivered || this.request.republished;
  }

  /** Its start is to be counted: what was delivered before may have killed its worker, in an earlier attempt if it was put off since for its rate limit. */
  get countsStart(): boolean {
    const mayHaveBeenPutOff = this.request.republished && (this.definition?.startIntervalMs ?? null) !== null;
    return this.custody.redelivered || this.starts > 0 || mayHaveBeenPutOff;
  }

  /** Its own start is counted. */
  get isCounted(): boolean {
    return this.#isCounted;
  }

  /** The unique key that it holds until a worker takes it; null: none. */
  get heldUntilNow(): UniqueHold | null {
    const { unique, id } = this.request;
    return unique?.scope === 'queued' ? { key: unique.key, taskId: id } : null;
  }

  get canRetry(): boolean {
    return this.#context.canRetry;
  }

  get maxResultSize(): number | null {
    return this.#context.stores && keepsResult(this.request, this.definition) ? this.#context.maxSize : null;
  }

  /** The task was told to stop and has heard it: a failure now says nothing about the task. */
  get interrupted(): boolean {
    return this.#isInterruption && (this.#controller?.signal.aborted ?? false);
  }

  /** It has ended, or was handed back, while its code still runs. */
  get decided(): boolean {
    return this.phase !== 'running';
  }

  get completion(): Completion {
    return this.#completion as Completion;
  }

  set completion(completion: Completion) {
    this.#completion = completion;
  }

  /** Its start has been counted. */
  count(): void {
    this.#isCounted = true;
    this.starts += 1;
  }

  /** Its start is being taken back. */
  uncount(): void {
    this.#isCounted = false;
    this.starts -= 1;
  }

  begin(): void {
    this.phase = 'running';
    // Before the task can change its arguments.
    this.#draft();
    this.#startedAt = this.#context.runtime.monotonic();
  }

  /** Tells the task that it must end. What it throws then is its own failure. */
  abort(reason: unknown): void {
    if (this.#abortReason !== undefined) return;
    this.#abortReason = reason;
    this.#controller?.abort(reason);
  }

  /** Tells the task that it must end though it is not at fault: the worker can wait no longer, or it was revoked. If it fails then, that is not told to its hooks. */
  interrupt(reason: unknown): void {
    this.#isInterruption ||= this.#abortReason === undefined;
    this.abort(reason);
  }

  reportProgress(json: string): void {
    // A task that goes on after it has ended, or was given up, has nothing more to say.
    if (this.phase === 'running') this.note('PROGRESS', json);
  }

  /** Writes a state on the way, unless nobody wants to know. */
  note(state: TaskState, progressJson: string | null = null): void {
    if (!keepsResult(this.request, this.definition)) return;
    this.#context.note(noteOf(this.#draft(), state, { runtimeMs: this.runtimeMs, progressJson }));
  }

  /** The task has ended; its completion is to be committed. False: it leaves nothing behind. */
  end(outcome: Outcome): boolean {
    this.#completion = this.#completionFor(outcome);
    this.phase = 'committing';
    return this.#context.stores && (this.custody.wasParked || leavesRecord(this.request, this.definition, outcome));
  }

  /** What another process is to commit for it, as its own must die; null: nothing is stored. */
  completionFor(outcome: Outcome): Completion | null {
    return this.#context.stores ? this.#completionFor(outcome) : null;
  }

  /** What is to be written to the outbox in place of its deliveries; null: no broker would take it once more. */
  parkedMessage(leaseMs: number): OutboxMessage | null {
    const rowId = this.custody.beginParking();
    return parkedOf(this.#draft(), { rowId, leaseMs, signer: this.#context.signer });
  }

  settled(result: CommitResult): void {
    this.#context.settled(this, result);
  }

  /** Acknowledges every copy. */
  acknowledge(): void {
    this.phase = 'settled';
    this.custody.acknowledge();
  }

  /** Gives it up: every copy, to be handed back; the outcome, if one comes, is dropped. Where there is none, the row of its custody is to be handed back. */
  giveUp(): readonly Held[] {
    this.phase = 'returned';
    return this.custody.giveUp();
  }

  #completionFor(outcome: Outcome): Completion {
    return completionOf(this.#draft(), outcome, {
      runtimeMs: this.runtimeMs,
      runtime: this.runtime,
      sends: this.#context.sends,
      parkedRow: this.custody.row,
      signer: this.#context.signer,
    });
  }

  #draft(): CompletionDraft {
    const { worker, maxSize } = this.#context;
    return (this.#drafted ??= draftOf(this.request, { worker, maxSize, message: this.custody.message }));
  }
}
