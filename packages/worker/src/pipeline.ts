import {
  isLovageError,
  mayFollow,
  messageRules,
  queueSpec,
  timeLimitsFor,
  type CommitResult,
  type Delivery,
  type EventBus,
  type MessageRules,
  type Outcome,
  type PoolName,
  type ResultBackend,
  type Runtime,
  type Settings,
  type TaskLogger,
  type RecordState,
  type TaskRegistry,
  type TaskRequest,
  type TaskResolver,
  type Transport,
} from '@lovage/core';
import { admit, hasExpired } from './admission.js';
import { announce } from './announce.js';
import { Committer } from './committer.js';
import { DeadLetters } from './dead-letters.js';
import { Execution, type ExecutionContext, type ExecutionPhase } from './execution.js';
import { Executions } from './executions.js';
import type { Held, Intake } from './intake.js';
import { LookUps } from './look-ups.js';
import type { Parking } from './parking.js';
import { Alone } from './pool/alone.js';
import type { Pool } from './pool/pool.js';
import { Pools } from './pool/pools.js';
import { poisonOutcome, runsAlone } from './poison.js';
import type { Clock } from './relay/clock.js';
import type { FollowUps } from './relay/follow-ups.js';
import { RateLimiter } from './rate-limiter.js';
import { Retrier } from './retrier.js';
import type { Revocations } from './revocations/revocations.js';
import { StartRecorder } from './start-recorder.js';
import { runWithin } from './time-limits.js';

export interface PipelineOptions {
  readonly worker: string;
  /** Started before anything is received, and stopped by whoever made them. */
  readonly pools: readonly Pool[];
  /** Where tasks run that do not say so themselves. */
  readonly defaultPool: PoolName;
  readonly settings: Settings;
  readonly tasks: TaskRegistry;
  readonly transport: Transport;
  /** null: nothing is stored. */
  readonly results: ResultBackend | null;
  /** Sends what commits have caused; null: there is no outbox. */
  readonly followUps: FollowUps | null;
  /** What a commit causes at once is sent from here; false: it is written to the queue itself. */
  readonly sends: boolean;
  /** Keeps the messages of long tasks; null: there is no need, or no outbox. */
  readonly parking: Parking | null;
  readonly clock: Clock;
  /** null: nothing can be revoked. */
  readonly revocations: Pick<Revocations, 'find'> | null;
  readonly resolver: TaskResolver;
  readonly events: EventBus;
  readonly runtime: Runtime;
  readonly logOf: (request: TaskRequest) => TaskLogger;
}

/**
 * What a delivery goes through, whatever its queue: admitted, looked up if suspicious, run in a slot, committed in a batch, acknowledged.
 * Each step is a module of its own; this one is the arrows between them. Every delivery leaves by exactly one of three ways: acknowledged after
 * its commit, moved to the dead-letter queue, or handed back.
 */
export class Pipeline {
  readonly #options: PipelineOptions;
  readonly #context: ExecutionContext;
  readonly #rules: MessageRules;
  readonly #executions = new Executions();
  readonly #pools: Pools;
  readonly #alone: Alone;
  readonly #lookUps: LookUps | null;
  readonly #rateLimiter: RateLimiter<Execution>;
  /** null: starts are not counted. */
  readonly #starts: StartRecorder | null;
  readonly #closing = new AbortController();
  /** Ended without their code, which has not ended yet. */
  readonly #strays = new Set<Execution>();
  #interrupted = 0;
  /** null: nothing is stored. */
  readonly committer: Committer | null;
  readonly deadLetters: DeadLetters;

  constructor(options: PipelineOptions) {
    this.#options = options;
    this.#rules = messageRules(options.settings);
    const { results, runtime, events, worker, transport, settings } = options;
    const retrier = (what: string) => new Retrier({ what, events, runtime, signal: this.#closing.signal });
    const { pools, defaultPool } = options;
    this.#pools = new Pools({ pools, defaultPool, begin: (execution) => this.#run(execution) });
    this.#alone = new Alone({ pools: this.#pools, events });
    this.#rateLimiter = new RateLimiter({
      runtime,
      ready: (execution) => this.#grant(execution),
      postpone:
        options.followUps === null
          ? null
          : (execution, inMs) => this.#end(execution, { kind: 'postponed', due: { inMs }, unknownSince: null }),
    });
    this.deadLetters = new DeadLetters({
      transport,
      events,
      runtime,
      worker,
      queueSpec: (queue) => queueSpec(settings, queue),
      retrier: retrier('moving dead letters'),
    });
    this.committer =
      results === null
        ? null
        : new Committer({
            results,
            runtime,
            retrier: retrier('storing results'),
            caused: (rows, committedAt) => options.followUps?.caused(rows, committedAt),
          });
    const starts = results?.capabilities.starts;
    this.#starts =
      starts === undefined ? null : new StartRecorder({ starts, retrier: retrier('counting starts of tasks') });
    this.#lookUps =
      results === null
        ? null
        : new LookUps({
            results,
            outbox: results.capabilities.outbox,
            starts,
            retrier: retrier('looking up tasks before they run'),
            found: (execution, record) => this.#lookedUp(execution, record),
          });
    this.#context = {
      worker,
      runtime,
      resolver: options.resolver,
      maxSize: settings.results?.maxSize ?? Infinity,
      signer: this.#rules.signer,
      stores: results !== null,
      canRetry: options.followUps !== null,
      sends: options.sends,
      logOf: options.logOf,
      note: (completion) => this.committer?.note(completion),
      settled: (execution, result) => this.#settled(execution, result),
    };
  }

  /** How many tasks run now. */
  get running(): number {
    return this.#pools.running;
  }

  /** How many tasks have ended without their code, which nothing could stop and which goes on. */
  get strays(): number {
    return this.#strays.size;
  }

  /** The execution of this task and attempt whose code runs here, be it that it has ended without it; undefined: there is none. */
  find(task: Pick<TaskRequest, 'id' | 'attempt'>): Execution | undefined {
    const found = this.#executions.find(task);
    if (found?.phase === 'running') return found;
    return [...this.#strays].find(({ request }) => request.id === task.id && request.attempt === task.attempt);
  }

  /** The executions that are in this phase now. */
  in(phase: ExecutionPhase): readonly Execution[] {
    return this.#executions.in(phase);
  }

  /** How many tasks were handed back because they failed after `interrupt`. */
  get interrupted(): number {
    return this.#interrupted;
  }

  readonly receive = (intake: Intake, deliveries: readonly Delivery[]): void => {
    for (const delivery of deliveries) this.#admit({ intake, delivery });
  };

  /** The broker gives what this intake held to others: what has not started here is theirs. A copy that comes back finds its execution, or its record. */
  readonly lost = (intake: Intake): void => {
    this.giveBack(this.#executions.in('waiting').filter((execution) => execution.custody.isFrom(intake)));
  };

  /** Nothing more starts. */
  pause(): void {
    this.#alone.pause();
    this.#pools.pause();
  }

  /** Resolves when no task runs. */
  idle(): Promise<void> {
    return this.#pools.idle();
  }

  /** Counts the starts of those that are parked now: if their worker dies, what comes again looks as if it had never been delivered. */
  countParked(executions: readonly Execution[]): void {
    for (const execution of executions)
      if (execution.custody.row !== null && !execution.isCounted) void this.#starts?.begin(execution);
  }

  /** What runs will be handed back for no fault of its own: its starts are taken back. Resolves when they are. */
  async takeBackStarts(): Promise<void> {
    await this.#starts?.takeBack(this.#executions.in('running'));
  }

  /** Tells every running task that the worker can wait no longer. */
  interrupt(reason: unknown): void {
    for (const execution of this.#executions.in('running')) execution.interrupt(reason);
  }

  /**
   * Ends a running execution without its code: this outcome is committed, and its slot is free. The code is stopped where that is possible; where it goes on, what
   * becomes of it changes nothing, and it is counted (`strays`). False: the execution does not run any more.
   */
  decide(execution: Execution, outcome: Outcome): boolean {
    if (execution.phase !== 'running') return false;
    this.#strays.add(execution);
    this.#end(execution, outcome);
    // Code that heeds its signal ends in this turn of the event loop.
    if (!this.#pools.poolOf(execution).kill(execution)) setImmediate(() => this.#warnOfStray(execution));
    this.#pools.release(execution);
    return true;
  }

  /** Ends what waits here and has been revoked meanwhile. */
  endRevoked(): void {
    for (const execution of this.#executions.in('waiting')) {
      const revoked = this.#revoked(execution.request);
      if (revoked !== null) this.#end(execution, revoked);
    }
    this.#keepWaiting();
  }

  /** Hands back, to their queues, the deliveries of all executions in a phase; their outcomes are dropped. Returns how many executions. */
  handBack(phase: ExecutionPhase): number {
    const executions = this.#executions.in(phase);
    this.giveBack(executions);
    return executions.length;
  }

  /** Hands back what has not started of what this intake holds beyond its prefetch. */
  giveBackBeyond(intake: Intake): void {
    const waiting = this.#executions.in('waiting').filter(({ custody }) => custody.isFrom(intake));
    const beyond = new Set(intake.beyond(waiting.map(({ custody }) => custody.delivery)));
    this.giveBack(waiting.filter(({ custody }) => beyond.has(custody.delivery)));
  }

  /** Hands back, to their queues, the deliveries of these executions; their outcomes are dropped. */
  giveBack(executions: readonly Execution[]): void {
    this.#giveUp(executions);
    this.#keepWaiting();
  }

  /** Resolves when all that has ended is committed, and all that is dead is moved. */
  async settledAll(): Promise<void> {
    await this.committer?.idle();
    await this.deadLetters.idle();
    await this.#starts?.idle();
  }

  /** Ends all retrying. */
  close(): void {
    this.#closing.abort();
  }

  #admit(held: Held): void {
    const { tasks, clock, followUps, settings, events } = this.#options;
    const decision = admit(held.delivery.message, {
      tasks,
      rules: this.#rules,
      now: clock.now(),
      unknownTaskGraceMs: followUps === null ? null : settings.worker.unknownTaskGraceMs,
    });
    if (decision.kind === 'dead') {
      this.deadLetters.push({ held, id: decision.id, reason: decision.reason });
      return;
    }
    const { request } = decision;
    const current = this.#executions.find(request);
    if (current !== undefined) {
      const row = current.custody.takeOver(held);
      if (row !== null) this.#options.parking?.drop(row);
      events.emit('task:duplicate', { request });
      return;
    }
    const execution = new Execution(held, decision, this.#context);
    this.#executions.add(execution);
    if (events.has('task:received')) events.emit('task:received', { request });
    const end = this.#revoked(request) ?? (decision.kind === 'end' ? decision.outcome : null);
    if (end !== null) {
      this.#end(execution, end);
    } else if (this.#lookUps !== null && (execution.isSuspicious || execution.heldUntilNow !== null)) {
      this.#lookUps.push(execution);
    } else {
      this.#queue(execution);
    }
  }

  #lookedUp(execution: Execution, record: RecordState | undefined): void {
    if (execution.phase !== 'waiting') return;
    if (record !== undefined && !mayFollow(record, { state: 'SUCCESS', attempt: execution.request.attempt }))
      this.#settled(execution, 'superseded');
    else if (execution.starts >= this.#options.settings.worker.maxStarts)
      this.#end(execution, poisonOutcome(execution));
    else this.#queue(execution);
  }

  #queue(execution: Execution): void {
    if (this.#options.settings.worker.trackReceived) execution.note('RECEIVED');
    const { request, definition, starts } = execution;
    const intervalMs = definition?.startIntervalMs ?? null;
    // What was started before has had its turn; and one that is put off for it is another attempt, whose starts would be counted anew.
    if (intervalMs === null || starts > 0) this.#grant(execution);
    else this.#rateLimiter.push(execution, { task: request.task, intervalMs });
  }

  #grant(execution: Execution): void {
    if (runsAlone(execution)) this.#alone.push(execution);
    else this.#pools.push(execution);
  }

  #run(execution: Execution): void {
    if (execution.countsStart && this.#starts !== null) void this.#runCounted(execution, this.#starts);
    else this.#begin(execution);
  }

  async #runCounted(execution: Execution, starts: StartRecorder): Promise<void> {
    if (await this.#countStart(execution, starts)) this.#begin(execution);
  }

  // A pool is total, and what its outcome leaves behind is as well: nothing is thrown here, or rejected.
  #begin(execution: Execution): void {
    const outcome = this.#outcomeOf(execution);
    if (outcome instanceof Promise) void outcome.then((end) => this.#ended(execution, end));
    else this.#ended(execution, outcome);
  }

  #ended(execution: Execution, outcome: Outcome): void {
    // It has ended without its code, and has no slot any more.
    if (this.#strays.delete(execution)) return;
    // Handed back meanwhile: somebody else's now.
    if (execution.phase !== 'returned') {
      // A task that failed once it was told to stop is not at fault: another worker runs it, unless it is revoked.
      const isInterrupted = outcome.kind === 'failure' && execution.interrupted;
      if (isInterrupted && this.#revoked(execution.request) === null) this.#handBackInterrupted(execution);
      else this.#end(execution, outcome);
    }
    this.#pools.release(execution);
  }

  /** False: it was handed back meanwhile. */
  async #countStart(execution: Execution, starts: StartRecorder): Promise<boolean> {
    await starts.begin(execution);
    if (execution.phase === 'waiting') return true;
    this.#pools.release(execution);
    await starts.takeBack([execution]);
    return false;
  }

  #outcomeOf(execution: Execution): Promise<Outcome> | Outcome {
    const { events, settings, clock } = this.#options;
    const { request } = execution;
    // It may have waited long for its slot.
    if (hasExpired(request, clock.now())) return { kind: 'revoked', reason: 'expired' };
    const revoked = this.#revoked(request);
    if (revoked !== null) return revoked;
    execution.begin();
    if (settings.worker.trackStarted) execution.note('STARTED');
    if (events.has('task:started')) events.emit('task:started', { request });
    const pool = this.#pools.poolOf(execution);
    const limits = timeLimitsFor(request.timeLimits, execution.definition?.timeLimits ?? null);
    if (limits === null) return pool.run(execution);
    return runWithin(limits, {
      run: () => pool.run(execution),
      abort: (reason) => execution.abort(reason),
      decide: (outcome) => this.decide(execution, outcome),
    });
  }

  #warnOfStray(execution: Execution): void {
    if (!this.#strays.has(execution)) return;
    const { task, id } = execution.request;
    const count = this.#strays.size === 1 ? '' : `, one of ${this.#strays.size} such tasks`;
    const message = `task ${task}[${id}] has ended, but its code does not hear of it and goes on${count}: it holds memory and whatever it has open; let it heed TaskContext.signal`;
    this.#options.events.emit('warning', { message });
  }

  #handBackInterrupted(execution: Execution): void {
    this.#interrupted += 1;
    this.#giveUp([execution]);
  }

  #revoked({ id }: TaskRequest): Outcome | null {
    const revocation = this.#options.revocations?.find(id);
    return revocation === undefined ? null : { kind: 'revoked', reason: revocation.reason };
  }

  // What a revoked task made of its run counts for nothing.
  #end(execution: Execution, outcome: Outcome): void {
    if (execution.end(this.#revoked(execution.request) ?? outcome)) this.committer?.push(execution);
    else this.#settled(execution, 'applied');
  }

  #settled(execution: Execution, result: CommitResult): void {
    if (execution.phase === 'returned') return;
    this.#executions.delete(execution);
    this.#starts?.end(execution);
    const { events } = this.#options;
    if (isLovageError(result)) {
      const reason = `its record cannot be stored: ${result.message}`;
      for (const held of execution.giveUp()) this.deadLetters.push({ held, id: execution.request.id, reason });
      return;
    }
    execution.acknowledge();
    const revocation = this.#options.revocations?.find(execution.request.id);
    if (result === 'applied') announce(events, execution.request, execution.completion);
    else if (revocation !== undefined)
      events.emit('task:revoked', { request: execution.request, reason: revocation.reason });
    else events.emit('task:duplicate', { request: execution.request });
  }

  /** What was handed back, or has ended, waits for nothing any more. */
  #keepWaiting(): void {
    const isWaiting = ({ phase }: Execution): boolean => phase === 'waiting';
    this.#pools.keep(isWaiting);
    this.#alone.keep(isWaiting);
    this.#rateLimiter.keep(isWaiting);
    this.#lookUps?.keep(isWaiting);
  }

  #giveUp(executions: readonly Execution[]): void {
    const byIntake = new Map<Intake, Delivery[]>();
    for (const execution of executions) {
      this.#executions.delete(execution);
      for (const { intake, delivery } of execution.giveUp()) {
        const deliveries = byIntake.get(intake) ?? [];
        byIntake.set(intake, deliveries);
        deliveries.push(delivery);
      }
    }
    for (const [intake, deliveries] of byIntake) intake.requeue(deliveries);
    this.#options.parking?.handBack(executions.flatMap(({ custody }) => custody.row ?? []));
  }
}
