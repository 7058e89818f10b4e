import {
  LovageError,
  isQueueTable,
  lostQueueOf,
  messageRules,
  queueSpec,
  resultsNotConfigured,
  type AppConnections,
  type Lovage,
  type LoadedApp,
  type Revocation,
  type TaskRequest,
} from '@lovage/core';
import { processName, workerInfoOf } from './app-info.js';
import { Deadline } from './deadline.js';
import { HoldWatch, holdLimitsOf } from './hold-watch.js';
import { Intake, type IntakeOptions } from './intake.js';
import { createLogger } from './logger.js';
import { commitLastWords, endOf } from './loop/last-words.js';
import type { BlockerEnd } from './loop/loop-block.js';
import type { RunningTask } from './loop/loop-watch.js';
import { LostMessages } from './lost-messages.js';
import { parkingOf } from './parking.js';
import { Pipeline } from './pipeline.js';
import { createPools } from './pool/create-pools.js';
import type { ThreadLine } from './pool/thread-protocol.js';
import { AdaptivePrefetch } from './prefetch/adaptive-prefetch.js';
import { PrefetchTuner } from './prefetch/prefetch-tuner.js';
import { slotsOf } from './prefetch/slots-of.js';
import { Clock } from './relay/clock.js';
import { ClockReader } from './relay/clock-reader.js';
import { Dispatcher } from './relay/dispatcher.js';
import { FollowUps } from './relay/follow-ups.js';
import { OutboxRelay } from './relay/outbox-relay.js';
import { Retention } from './retention.js';
import { applyRevocations } from './revocations/apply-revocations.js';
import { Revocations } from './revocations/revocations.js';
import { shutDown, type OutboxParts, type WorkerParts } from './shutdown.js';
import {
  resolveLimits,
  type StopOptions,
  type StopReport,
  type WorkerInfo,
  type WorkerLogger,
  type WorkerOptions,
} from './worker-options.js';

/** Messages that were lost are few: one worker's share of them. */
const LOST_PREFETCH = 100;
/** How much the bodies of all that is held may weigh, in bytes, where the prefetch adapts. */
const MAX_HELD_BYTES = 64 * 2 ** 20;

/**
 * Runs an app's tasks: consumes its queues, runs what arrives, stores every outcome, acknowledges after that.
 * At least once: a task whose worker dies runs again elsewhere; its record reaches one final state once.
 *
 * The app's connections are the app's: stop the worker, then the app. Process signals and stray errors are the caller's too (`guardProcess`).
 *
 * @example
 * await using worker = new Worker(app, { concurrency: 20 });
 * await worker.start();
 */
export class Worker {
  readonly #app: Lovage;
  readonly #options: WorkerOptions;
  #name: string | null = null;
  #logger: WorkerLogger | null;
  #deadline: Deadline | null = null;
  #starting: Promise<WorkerInfo> | null = null;
  #stopping: Promise<StopReport> | null = null;
  #parts: WorkerParts | null = null;
  #shutdownTimeoutMs = 0;

  constructor(app: Lovage, options: WorkerOptions = {}) {
    this.#app = app;
    this.#options = options;
    this.#logger = options.logger ?? null;
  }

  /** `<app>@<host>:<pid>`; the app's name is known once its configuration has been read. */
  get name(): string {
    return this.#name ?? processName('lovage');
  }

  /** True while every consumer is open: false before `start`, during a reconnection and after `stop`. */
  get consuming(): boolean {
    return this.#parts !== null && this.#stopping === null && this.#parts.intakes.every((intake) => intake.consuming);
  }

  /** How many tasks run now. */
  get running(): number {
    return this.#parts?.pipeline.running ?? 0;
  }

  /** The tasks that run now, and have not ended without their code. */
  get runningTasks(): readonly Pick<TaskRequest, 'id' | 'task'>[] {
    return this.#parts?.pipeline.in('running').map(({ request }) => request) ?? [];
  }

  /** How much a task of this worker has left of its hard time limit, and, if nothing, or this revocation is the task's, its end. For LoopWatch. */
  endOf(task: RunningTask, revocation: Revocation | null): BlockerEnd {
    return endOf(this.#parts?.pipeline.find(task), revocation);
  }

  /** How many tasks have ended without their code, which nothing could stop: it still runs, and holds what it holds. */
  get strays(): number {
    return this.#parts?.pipeline.strays ?? 0;
  }

  /**
   * Connects, declares the queues and consumes them. Once; a second call gives the first one's answer.
   *
   * @throws LOVAGE_CONFIG, LOVAGE_DISCOVERY, LOVAGE_TASK_DEFINITION for a wrong app; LOVAGE_RESULTS_NOT_CONFIGURED for tasks with a retry policy and no results to
   * keep retries in (LOVAGE_DRIVER: results without an outbox); LOVAGE_BROKER_UNAVAILABLE, LOVAGE_RESULTS_UNAVAILABLE when
   * the time for first connections is over; LOVAGE_ACCESS_REFUSED, LOVAGE_SCHEMA, LOVAGE_QUEUE_MISMATCH at once; LOVAGE_STOPPED when stopped meanwhile; where tasks run in threads LOVAGE_USAGE (no `source`, or tasks that it does not register) and LOVAGE_APP_NOT_FOUND (what a thread cannot load).
   */
  async start(): Promise<WorkerInfo> {
    this.#assertNotStopping();
    return (this.#starting ??= this.#start().catch((error: unknown) => this.#startFailed(error)));
  }

  /**
   * Stops: nothing new starts, what runs may end until the deadline, every other delivery goes back to its queue. Idempotent; all calls share
   * one report. A call with `now` brings the deadline forward to this moment.
   */
  stop(options: StopOptions = {}): Promise<StopReport> {
    if (this.#stopping === null) {
      this.#deadline = new Deadline(this.#shutdownTimeoutMs);
      this.#stopping = this.#stop(options.reason ?? 'stop() was called', this.#deadline);
    }
    if (options.now === true) this.#deadline?.pass();
    return this.#stopping;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  // Nothing stays half open, and `start` may be tried again.
  async #startFailed(error: unknown): Promise<never> {
    if (this.#stopping === null) {
      if (this.#parts !== null) await shutDown(this.#parts, new Deadline(0));
      this.#parts = null;
      this.#starting = null;
    }
    throw error;
  }

  async #start(): Promise<WorkerInfo> {
    const loaded = await this.#app.load();
    const { settings } = loaded;
    const info = workerInfoOf(loaded, this.#options);
    this.#shutdownTimeoutMs = resolveLimits(this.#options, settings).shutdownTimeoutMs;
    this.#name = info.name;
    messageRules(settings).signer?.assertCanSign('a worker signs what it sends again (a retry, a postponed task)');
    await this.#assertCanRetry(loaded);
    const connections = await this.#connect(loaded);
    await connections.transport.declare(info.queues.map((queue) => queueSpec(settings, queue)));
    this.#assertNotStopping();
    await this.#open(connections, info);
    this.#assertNotStopping();
    this.#app.events.emit('worker:ready', { worker: this.name });
    return info;
  }

  /** A retry that nobody keeps would be a task that is lost. */
  async #assertCanRetry({ tasks }: LoadedApp): Promise<void> {
    const retried = tasks.list().flatMap(({ name, retry }) => (retry === null ? [] : [name]));
    if (retried.length === 0) return;
    const results = await this.#app.resultBackend();
    const what = `retries are kept in the outbox, beside the results, and ${retried.join(', ')} ask(s) for them`;
    if (results === null) throw resultsNotConfigured(what);
    if (results.capabilities.outbox !== undefined) return;
    throw new LovageError('LOVAGE_DRIVER', `${what}, but the result backend of this app has no outbox`);
  }

  async #connect({ settings, tasks }: LoadedApp): Promise<AppConnections> {
    const { retryForMs } = this.#options;
    const [transport, results] = await Promise.all([
      this.#app.connectBroker({ retryForMs: retryForMs ?? settings.broker.connectRetryForMs }),
      this.#app.connectResults({ retryForMs: retryForMs ?? settings.results?.connectRetryForMs ?? 0 }),
    ]);
    this.#assertNotStopping();
    return { settings, tasks, transport, results };
  }

  async #open(connections: AppConnections, info: WorkerInfo): Promise<void> {
    const { settings, tasks, transport, results } = connections;
    const { events, runtime, resolver } = this.#app;
    const worker = this.name;
    const clock = new Clock(runtime);
    const { source } = this.#options;
    const log = (line: ThreadLine) => this.#logLine(line);
    const pools = createPools({ loaded: connections, info, source, log, events, runtime });
    const outbox = await this.#outboxParts(connections, clock);
    const { revocations: store } = results?.capabilities ?? {};
    const { keepMs, graceMs } = settings.revocations;
    const revocations = store === undefined ? null : new Revocations({ store, keepMs, events, runtime });
    const holdLimits = holdLimitsOf(transport.capabilities);
    const parking = holdLimits === null ? null : parkingOf(results, { ...holdLimits, events });
    const pipeline = new Pipeline({
      worker,
      settings,
      tasks,
      transport,
      results,
      followUps: outbox?.followUps ?? null,
      sends: outbox?.sends ?? false,
      parking,
      clock,
      revocations,
      resolver,
      events,
      runtime,
      pools,
      defaultPool: info.pool,
      logOf: (request) => this.#logOf(request),
    });
    const { committer, deadLetters } = pipeline;
    const rules = messageRules(settings);
    const lost = new LostMessages({
      tasks,
      rules,
      committer,
      deadLetters,
      events,
      runtime,
      worker,
      maxSize: settings.results?.maxSize ?? Infinity,
    });
    const retention =
      results === null
        ? null
        : new Retention({ results, events, runtime, keepRevocationsMs: settings.revocations.keepMs });
    const intakes: Intake[] = [];
    const tuner = info.prefetch === null ? new PrefetchTuner({ intakes, pipeline }) : null;
    const holdWatch =
      holdLimits === null ? null : new HoldWatch({ pipeline, parking, limits: holdLimits, tasks, events });
    this.#parts = { pipeline, pools, intakes, tuner, retention, revocations, outbox, holdWatch };
    await Promise.all(pools.map((pool) => pool.start()));
    // Before anything is consumed: its first claim sets the clock, and what is revoked must not run.
    await Promise.all([
      outbox?.relay.start(),
      revocations?.start((news) => applyRevocations(news, { pipeline, graceMs })),
    ]);
    const { lastWords = [] } = this.#options;
    if (committer !== null) await commitLastWords(lastWords, { committer, events, rules });
    const open = (intake: Intake, options: IntakeOptions) => {
      this.#assertNotStopping();
      intakes.push(intake);
      return intake.open(transport, options);
    };
    const maxBytes = MAX_HELD_BYTES / info.queues.length;
    const adaptive = (queue: string) => new AdaptivePrefetch({ slots: slotsOf(queue, connections, info), maxBytes });
    for (const queue of info.queues) {
      await open(new Intake(queue), {
        source: queue,
        prefetch: info.prefetch ?? adaptive(queue),
        receive: pipeline.receive,
        lost: pipeline.lost,
      });
      const { type, declare } = queueSpec(settings, queue);
      // Only the quorum queues that Lovage declares hand over what they lose.
      if (type !== 'quorum' || !declare) continue;
      await open(new Intake(queue), { source: lostQueueOf(queue), prefetch: LOST_PREFETCH, receive: lost.receive });
    }
    tuner?.start();
    retention?.start();
    holdWatch?.start();
  }

  /** null: the app has no outbox. */
  async #outboxParts({ settings, transport, results }: AppConnections, clock: Clock): Promise<OutboxParts | null> {
    const outbox = results?.capabilities.outbox;
    if (outbox === undefined) return null;
    const { events, runtime } = this.#app;
    const spec = (queue: string) => queueSpec(settings, queue);
    const dispatcher = new Dispatcher({ outbox, transport, queueSpec: spec, events });
    if (await isQueueTable(transport, outbox)) {
      const { table } = transport.capabilities;
      const followUps = new FollowUps({ dispatcher, clock, runtime, wakeIn: (ms) => table?.wakeIn(ms) });
      return { relay: new ClockReader({ outbox, clock, events, runtime }), followUps, sends: false };
    }
    const relay = new OutboxRelay({ outbox, dispatcher, clock, events, runtime });
    const followUps = new FollowUps({ dispatcher, clock, runtime, wakeIn: (ms) => relay.wakeIn(ms) });
    return { relay, followUps, sends: true };
  }

  async #stop(reason: string, deadline: Deadline): Promise<StopReport> {
    const { events } = this.#app;
    events.emit('worker:stopping', { worker: this.name, reason });
    // Without parts nothing is open, and a start under way ends before it opens anything.
    const report =
      this.#parts === null
        ? { finished: 0, abandoned: 0, returned: 0, strays: 0 }
        : await shutDown(this.#parts, deadline);
    deadline.pass();
    events.emit('worker:stopped', { worker: this.name, abandoned: report.abandoned });
    return report;
  }

  // A child logger for each task that logs, not for each task that runs.
  #logOf({ id, task }: Pick<TaskRequest, 'id' | 'task'>): ReturnType<WorkerLogger['child']> {
    return this.#loggerOf().child({ task, id });
  }

  #logLine({ task, level, message, meta }: ThreadLine): void {
    (task === null ? this.#loggerOf() : this.#logOf(task))[level](message, meta);
  }

  #loggerOf(): WorkerLogger {
    return (this.#logger ??= createLogger({ level: 'info', format: 'text', color: false }));
  }

  #assertNotStopping(): void {
    if (this.#stopping !== null) throw new LovageError('LOVAGE_STOPPED', 'the worker has been stopped; make a new one');
  }
}
