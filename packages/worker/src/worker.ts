import { hostname } from 'node:os';
import {
  LovageError,
  expected,
  lostQueueOf,
  maskUrl,
  queueSpec,
  workerQueues,
  type AppConnections,
  type Lovage,
  type LoadedApp,
  type TaskRequest,
} from '@lovage/core';
import { Deadline } from './deadline.js';
import { Intake, type IntakeOptions } from './intake.js';
import { createLogger } from './logger.js';
import { LostMessages } from './lost-messages.js';
import { Pipeline } from './pipeline.js';
import { Retention } from './retention.js';
import { shutDown, type WorkerParts } from './shutdown.js';
import {
  resolveLimits,
  type StopOptions,
  type StopReport,
  type WorkerInfo,
  type WorkerLimits,
  type WorkerLogger,
  type WorkerOptions,
} from './worker-options.js';

/** Messages that were lost are few: one worker's share of them. */
const LOST_PREFETCH = 100;

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
    return this.#name ?? `lovage@${hostname()}:${process.pid}`;
  }

  /** True while every consumer is open: false before `start`, during a reconnection and after `stop`. */
  get consuming(): boolean {
    return this.#parts !== null && this.#stopping === null && this.#parts.intakes.every((intake) => intake.consuming);
  }

  /** How many tasks run now. */
  get running(): number {
    return this.#parts?.pipeline.running ?? 0;
  }

  /**
   * Connects, declares the queues and consumes them. Once; a second call gives the first one's answer.
   *
   * @throws LOVAGE_CONFIG, LOVAGE_DISCOVERY, LOVAGE_TASK_DEFINITION for a wrong app; LOVAGE_BROKER_UNAVAILABLE, LOVAGE_RESULTS_UNAVAILABLE when
   * the time for first connections is over; LOVAGE_ACCESS_REFUSED, LOVAGE_SCHEMA, LOVAGE_QUEUE_MISMATCH at once; LOVAGE_STOPPED when stopped meanwhile.
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
      const parts = this.#parts;
      this.#parts = null;
      if (parts !== null) await shutDown(parts, new Deadline(0));
      this.#starting = null;
    }
    throw error;
  }

  async #start(): Promise<WorkerInfo> {
    const loaded = await this.#app.load();
    const { settings, tasks } = loaded;
    const limits = resolveLimits(this.#options, settings);
    this.#shutdownTimeoutMs = limits.shutdownTimeoutMs;
    this.#name = `${settings.name}@${hostname()}:${process.pid}`;
    const queues = this.#queues(loaded);
    const connections = await this.#connect(loaded);
    await connections.transport.declare(queues.map((queue) => queueSpec(settings, queue)));
    this.#assertNotStopping();
    await this.#open(connections, queues, limits);
    this.#assertNotStopping();
    this.#app.events.emit('worker:ready', { worker: this.name });
    return {
      name: this.name,
      app: settings.name,
      broker: settings.broker.urls.map(maskUrl).join(', ') || '(a transport of the app’s own)',
      results:
        settings.results === null
          ? null
          : settings.results.url === ''
            ? '(a backend of the app’s own)'
            : maskUrl(settings.results.url),
      queues,
      concurrency: limits.concurrency,
      prefetch: limits.prefetch,
      tasks: tasks.list().map(({ name }) => name),
    };
  }

  #queues({ settings, tasks }: LoadedApp): readonly string[] {
    const queues = [...new Set(this.#options.queues ?? workerQueues(settings, tasks.list()))];
    if (queues.length > 0) return queues;
    throw new LovageError('LOVAGE_USAGE', expected('queues', 'the names of one queue or more', queues));
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

  async #open(
    { settings, tasks, transport, results }: AppConnections,
    queues: readonly string[],
    limits: WorkerLimits,
  ): Promise<void> {
    const { events, runtime, resolver } = this.#app;
    const worker = this.name;
    const pipeline = new Pipeline({
      worker,
      settings,
      tasks,
      transport,
      results,
      resolver,
      events,
      runtime,
      concurrency: limits.concurrency,
      logOf: (request) => this.#logOf(request),
    });
    const { committer, deadLetters } = pipeline;
    const lost = new LostMessages({
      tasks,
      committer,
      deadLetters,
      events,
      runtime,
      worker,
      maxSize: settings.results?.maxSize ?? Infinity,
    });
    const retention = results === null ? null : new Retention({ results, events, runtime });
    const intakes: Intake[] = [];
    this.#parts = { pipeline, intakes, retention };
    const open = (intake: Intake, options: IntakeOptions) => {
      this.#assertNotStopping();
      intakes.push(intake);
      return intake.open(transport, options);
    };
    for (const queue of queues) {
      await open(new Intake(queue), {
        source: queue,
        prefetch: limits.prefetch,
        receive: pipeline.receive,
        lost: pipeline.lost,
      });
      const { type, declare } = queueSpec(settings, queue);
      // Only the quorum queues that Lovage declares hand over what they lose.
      if (type !== 'quorum' || !declare) continue;
      await open(new Intake(queue), { source: lostQueueOf(queue), prefetch: LOST_PREFETCH, receive: lost.receive });
    }
    retention?.start();
  }

  async #stop(reason: string, deadline: Deadline): Promise<StopReport> {
    const { events } = this.#app;
    events.emit('worker:stopping', { worker: this.name, reason });
    // Without parts nothing is open, and a start under way ends before it opens anything.
    const report =
      this.#parts === null ? { finished: 0, abandoned: 0, returned: 0 } : await shutDown(this.#parts, deadline);
    deadline.pass();
    events.emit('worker:stopped', { worker: this.name, abandoned: report.abandoned });
    return report;
  }

  // A child logger for each task that logs, not for each task that runs.
  #logOf({ id, task }: TaskRequest): ReturnType<WorkerLogger['child']> {
    this.#logger ??= createLogger({ level: 'info', format: 'text', color: false });
    return this.#logger.child({ task, id });
  }

  #assertNotStopping(): void {
    if (this.#stopping !== null) throw new LovageError('LOVAGE_STOPPED', 'the worker has been stopped; make a new one');
  }
}
