import { setMaxListeners } from 'node:events';
import { type ConfigLayer, readLayer, resolveSettings } from '../config/config-layers.js';
import { readConfigFile } from '../config/config-file.js';
import type { LovageOptions } from '../config/options.js';
import { resultsNotConfigured } from '../config/not-configured.js';
import type { Settings } from '../config/settings.js';
import { LovageError } from '../errors/lovage-error.js';
import { EventBus } from '../events/event-bus.js';
import { type TaskResolver, newInstance } from '../execution/execute-task.js';
import { messageRules } from '../message/message-rules.js';
import type { Outbox } from '../outbox/outbox.js';
import { ScheduledTasks } from '../outbox/scheduled-tasks.js';
import type { AsyncResult } from '../results/async-result.js';
import type { Message } from '../message/message.js';
import { MemoryResultBackend } from '../results/memory-result-backend.js';
import type { ResultBackend } from '../results/result-backend.js';
import { ResultStore } from '../results/result-store.js';
import type { RevokeResult } from '../revocations/revocation-store.js';
import { type RevokeOptions, revokeTasks } from '../revocations/revoke-tasks.js';
import { type Runtime, systemRuntime } from '../runtime/runtime.js';
import { taskDefinitionOf } from '../task/task.js';
import type { TaskArgs, TaskClass, TaskDefinition, TaskResult } from '../task/task-definition.js';
import { TaskRegistry } from '../task/task-registry.js';
import { isQueueTable } from '../transport/queue-table.js';
import type { Transport } from '../transport/transport.js';
import { discover } from './discovery.js';
import { createResultBackend, createTransport } from './drivers.js';
import { InlineTransport } from './inline-transport.js';
import { type ModuleLoader, defaultLoader } from './module-loader.js';
import { createRouter, queueSpec } from './router.js';
import { TaskHandle } from './task-handle.js';
import { moduleOriginOf } from './source-files.js';
import { LetterSender, type LetterFate } from './letter-sender.js';
import type { Routing, SenderHost } from './sender-host.js';
import { TaskSender } from './task-sender.js';

const APP = Symbol.for('lovage.app');

export interface AppOptions extends LovageOptions {
  /** Makes the instances that run tasks: the hook for dependency injection. Default: `new TaskClass()` for each run. */
  readonly resolver?: TaskResolver;
  /** Clock, randomness and ids; for tests. */
  readonly runtime?: Runtime;
}

export interface ConnectOptions {
  /** How long a first connection is tried, in milliseconds; 0: one attempt. Default: `broker.publishTimeout`, `results.connectTimeout`. */
  readonly retryForMs?: number;
}

export interface DiscoverOptions {
  /** Where the packages are looked for: the folder of this file (`import.meta.url` or `__filename`). */
  readonly from: string;
  /** The module of each package that holds tasks. Default `tasks`. */
  readonly related?: string;
}

/** An app's configuration and tasks, read. */
export interface LoadedApp {
  readonly settings: Settings;
  readonly tasks: TaskRegistry;
}

/** An app's connections, open. */
export interface AppConnections extends LoadedApp {
  readonly transport: Transport;
  /** null for an app without results. */
  readonly results: ResultBackend | null;
}

/**
 * The app: configuration, tasks and connections in one place. The constructor does no I/O; connections open when they are first needed, and `stop`
 * closes what the app opened.
 *
 * @example
 * export const app = new Lovage({ name: 'shop', broker: 'amqp://localhost', results: 'postgres://localhost/shop' });
 * app.configFromObject(process.env, { namespace: 'LOVAGE' });
 * app.autodiscover(['billing'], { from: import.meta.url });
 */
export class Lovage {
  /** Typed events; logging and metrics subscribe here. */
  readonly events = new EventBus();
  readonly runtime: Runtime;
  readonly resolver: TaskResolver;
  /** The stored records. */
  readonly results = new ResultStore(() => this.#requireBackend());
  /** The tasks that wait for their time. */
  readonly scheduled = new ScheduledTasks(() => this.#requireOutbox({ started: true }));
  readonly #tasks = new TaskRegistry();
  // Classes that app.task() was given: inline mode can run them though nobody registered them.
  readonly #known = new Map<string, TaskDefinition>();
  readonly #layers: (() => Promise<ConfigLayer>)[] = [];
  readonly #discoveries: { readonly packages: readonly string[]; readonly options: DiscoverOptions }[] = [];
  readonly #sender: TaskSender;
  readonly #letters: LetterSender;
  readonly #hasResolver: boolean;
  #loader: ModuleLoader = defaultLoader;
  #inline = false;
  readonly #stop = new AbortController();
  readonly #settings = new Once<Settings>();
  readonly #loaded = new Once<LoadedApp>();
  readonly #created = { broker: new Once<Transport>(), results: new Once<ResultBackend | null>() };
  readonly #routing = new Once<Routing>();
  readonly #queueTable = new Once<boolean>();
  readonly #broker = new Once<Transport>();
  readonly #backend = new Once<ResultBackend | null>();

  /** @throws LOVAGE_CONFIG naming every bad key and value. */
  constructor(options: AppOptions = {}) {
    const { resolver, runtime, ...config } = options;
    this.runtime = runtime ?? systemRuntime;
    this.resolver = resolver ?? newInstance;
    this.#hasResolver = resolver !== undefined;
    this.#addLayer(config, { origin: 'new Lovage()' });
    const host: SenderHost = {
      runtime: this.runtime,
      events: this.events,
      stopped: this.#stop.signal,
      find: (task) => this.#tasks.get(task),
      isInline: () => this.#inline,
      routing: () => this.#routing.value ?? this.#routing.get(async () => routingOf(await this.settings())),
      transport: () => this.#broker.value ?? this.connectBroker(),
      backend: () => this.#requireBackend(),
      outbox: async (options) => (this.#inline ? null : this.#requireOutbox(options)),
      isQueueTable: (outbox) => this.#isQueueTable(outbox),
      replyTo: () => this.#backend.value?.replyChannel ?? null,
    };
    this.#sender = new TaskSender(host);
    this.#letters = new LetterSender({ ...host, results: () => this.connectResults() });
    // Every wait for a result listens, however many there are: that is no leak.
    setMaxListeners(0, this.#stop.signal);
    Object.defineProperty(this, APP, { value: true });
  }

  /**
   * Adds configuration; what is given later wins. With a namespace, keys are as in the environment: LOVAGE_BROKER, LOVAGE_WORKER_CONCURRENCY;
   * all others are passed over.
   *
   * @throws LOVAGE_CONFIG naming every bad key and value, and the nearest right one.
   */
  configFromObject(source: object, options: { readonly namespace?: string } = {}): this {
    this.#addLayer(source, {
      ...options,
      origin: options.namespace === undefined ? 'configFromObject()' : `namespace ${options.namespace}`,
    });
    return this;
  }

  /** Adds configuration from a .json, .js or .ts file that exports an object; read at the first use of the app. A relative path is taken from `from` (a file's path or URL), else from the working directory. */
  configFromFile(path: string, options: { readonly from?: string; readonly namespace?: string } = {}): this {
    this.#assertUnused('configFromFile');
    this.#layers.push(async () => {
      const file = await readConfigFile(path, {
        loader: this.#loader,
        ...(options.from === undefined ? {} : { from: options.from }),
      });
      return readLayer(file, {
        origin: path,
        ...(options.namespace === undefined ? {} : { namespace: options.namespace }),
      });
    });
    return this;
  }

  /**
   * Says where tasks are: `<package>/tasks` for each package, beside the file `from`. The modules are imported when a worker (or `load`) needs them, and
   * their exported @Task classes registered. A caller never imports them.
   */
  autodiscover(packages: readonly string[], options: DiscoverOptions): this {
    this.#assertUnloaded('autodiscover');
    this.#discoveries.push({ packages, options });
    return this;
  }

  /** Registers task classes by hand. @throws LOVAGE_TASK_DEFINITION for a class without @Task or a name that is taken. */
  register(...taskClasses: readonly TaskClass[]): this {
    for (const taskClass of taskClasses) this.#register(taskClass, null);
    return this;
  }

  /** The handle that sends a task, its arguments and result typed by the class's `run`. */
  task<C extends TaskClass>(taskClass: C): TaskHandle<TaskArgs<C>, TaskResult<C>>;
  /** The handle of a task whose code is elsewhere, by its name. */
  task<Args extends readonly unknown[] = readonly unknown[], Result = unknown>(name: string): TaskHandle<Args, Result>;
  task(target: TaskClass | string): TaskHandle {
    if (typeof target === 'string') {
      return new TaskHandle({ name: target, definition: this.#tasks.get(target) ?? null }, this.#sender);
    }
    const definition = taskDefinitionOf(target);
    if (definition === null) {
      throw new LovageError(
        'LOVAGE_TASK_DEFINITION',
        `app.task(${target.name}): expected a class decorated with @Task, or a task's name`,
      );
    }
    this.#known.set(definition.name, definition);
    return new TaskHandle({ name: definition.name, definition }, this.#sender);
  }

  /** The result of a call by its id, from any process. Naming the task's class revives the result by its @Returns. */
  result<C extends TaskClass>(id: string, taskClass: C): AsyncResult<TaskResult<C>>;
  result<Result = unknown>(id: string): AsyncResult<Result>;
  result(id: string, taskClass?: TaskClass): AsyncResult {
    return this.#sender.resultOf(id, taskDefinitionOf(taskClass));
  }

  /**
   * Runs a task that ended FAILURE once more, under its id, with the arguments that its record holds: the record is PENDING again, `attempt` one higher and `retries` 0, and
   * the end that it had is in its history. The call's own headers, priority, expiry and time limits are not kept. A relay sends it: a worker's, or `lovage relay`.
   *
   * @throws LOVAGE_USAGE unless the record is a FAILURE that holds its arguments; LOVAGE_RESULTS_NOT_CONFIGURED.
   */
  requeue<Result = unknown>(id: string): Promise<AsyncResult<Result>> {
    return this.#sender.requeue<Result>(id);
  }

  /**
   * Revokes tasks, as `AsyncResult.revoke`, in batches of 500: much faster than one after the other. One result an id, each id once, with the state that the task is in from now on: REVOKED, or the other end that it had reached before.
   * Ids of which nothing is known are revoked as well: a message that comes later is not run.
   *
   * @throws as `AsyncResult.revoke`; then some of the tasks may have been revoked.
   * @example
   * const ended = (await app.revoke(ids, { terminate: true })).filter(({ state }) => state !== 'REVOKED');
   */
  async revoke(ids: readonly string[], options: RevokeOptions = {}): Promise<readonly RevokeResult[]> {
    return revokeTasks(await this.#requireBackend(), ids, options);
  }

  /**
   * Has a dead letter run once more, that was found in `<queue>.dead` and is to be taken out there once this has resolved. Where its record is a FAILURE this is as `requeue`, but with the message's own
   * arguments and headers; a task that has no record, or has not ended, has its message put into its queue as it came. What was sent once is not sent again, as long as there are records.
   *
   * @throws LOVAGE_UNROUTABLE, LOVAGE_PUBLISH, LOVAGE_BROKER_UNAVAILABLE, LOVAGE_RESULTS_UNAVAILABLE: then nothing is known to be sent, and the letter is to stay.
   */
  requeueLetter(letter: Message): Promise<LetterFate> {
    return this.#letters.send(letter);
  }

  /** Makes calls run in this process, inside `delay`, with their messages encoded and decoded as on the wire: for tests. Countdowns, retries and transactions are not waited for. Results are kept in memory if the app has any. */
  testing(options: { readonly mode: 'inline' }): this {
    this.#assertUnused('testing');
    if (options.mode !== 'inline') throw new LovageError('LOVAGE_USAGE', "testing(): expected mode to be 'inline'");
    this.#inline = true;
    return this;
  }

  /** How task modules and configuration files are imported; the lovage command sets one that reads TypeScript. */
  useLoader(loader: ModuleLoader): this {
    this.#loader = loader;
    return this;
  }

  /** Reads the configuration. No connection is opened. */
  settings(): Promise<Settings> {
    return this.#settings.get(async () => {
      const layers = [];
      for (const read of this.#layers) layers.push(await read());
      return resolveSettings(layers);
    });
  }

  /** Reads the configuration and imports the task modules. No connection is opened. @throws LOVAGE_CONFIG, LOVAGE_DISCOVERY, LOVAGE_TASK_DEFINITION. */
  load(): Promise<LoadedApp> {
    return this.#loaded.get(async () => {
      const settings = await this.settings();
      for (const { packages, options } of this.#discoveries) {
        const request = { packages, from: options.from, related: options.related ?? 'tasks' };
        const warn = (message: string): void => this.events.emit('warning', { message });
        const found = await discover({ ...request, warn }, this.#loader);
        for (const { taskClass, file } of found) this.#register(taskClass, moduleOriginOf(file));
      }
      return { settings, tasks: this.#tasks };
    });
  }

  /** Opens both connections, so that a process fails at its start and not at its first call. */
  async connect(options: ConnectOptions = {}): Promise<AppConnections> {
    const { settings, tasks } = await this.load();
    const [transport, results] = await Promise.all([this.connectBroker(options), this.connectResults(options)]);
    return { settings, tasks, transport, results };
  }

  /** Opens the connection to the broker, if it is not open. */
  connectBroker(options: ConnectOptions = {}): Promise<Transport> {
    return this.#broker.get(async () => {
      this.#stop.signal.throwIfAborted();
      const { broker } = await this.settings();
      const transport = await this.transport();
      await transport.start({ retryForMs: options.retryForMs ?? broker.publishTimeoutMs });
      return this.#unlessStopped(transport, broker.transport === null);
    });
  }

  /** Opens the connection to the results, if it is not open; null for an app without results. */
  connectResults(options: ConnectOptions = {}): Promise<ResultBackend | null> {
    return this.#backend.get(async () => {
      this.#stop.signal.throwIfAborted();
      const backend = await this.resultBackend();
      const { results } = await this.settings();
      await backend?.start({ retryForMs: options.retryForMs ?? results?.connectTimeoutMs ?? 0 });
      return backend === null ? null : this.#unlessStopped(backend, results?.backend === null);
    });
  }

  /** The transport, not started. For tools. */
  transport(): Promise<Transport> {
    return this.#created.broker.get(async () => {
      const settings = await this.settings();
      if (this.#inline) return new InlineTransport(this.#inlineHost(settings));
      return createTransport(settings.broker, { name: settings.name, events: this.events, runtime: this.runtime });
    });
  }

  /** The result backend, not started; null for an app without results. For tools, such as one that migrates. */
  resultBackend(): Promise<ResultBackend | null> {
    return this.#created.results.get(async () => {
      const { name, results } = await this.settings();
      if (results === null) return null;
      if (this.#inline) return new MemoryResultBackend({ expiresMs: results.expiresMs, runtime: this.runtime });
      return createResultBackend(results, { name, events: this.events, runtime: this.runtime });
    });
  }

  /** Closes what the app opened; what was handed in stays open. Idempotent; the app cannot be used after it. */
  async stop(): Promise<void> {
    this.#stop.abort(stopped());
    const settings = await this.#settings.settled();
    const [transport, backend] = await Promise.all([this.#created.broker.settled(), this.#created.results.settled()]);
    const ends = await Promise.allSettled([
      settings?.broker.transport == null && transport?.stop(),
      settings?.results?.backend == null && backend?.stop(),
    ]);
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** For what was being started while the app was stopped: it may have opened after `stop` had closed it. */
  async #unlessStopped<T extends { stop(): Promise<void> }>(started: T, isOwn: boolean): Promise<T> {
    if (!this.#stop.signal.aborted) return started;
    if (isOwn) await started.stop();
    throw stopped();
  }

  async #requireBackend(): Promise<ResultBackend> {
    const backend = await this.connectResults();
    if (backend !== null) return backend;
    throw resultsNotConfigured('this needs stored results');
  }

  async #requireOutbox({ started }: { readonly started: boolean }): Promise<Outbox> {
    const backend = started ? await this.connectResults() : await this.resultBackend();
    if (backend === null)
      throw resultsNotConfigured('what waits or must not be lost is kept in the outbox, beside the results');
    const { outbox } = backend.capabilities;
    if (outbox !== undefined) return outbox;
    throw new LovageError(
      'LOVAGE_DRIVER',
      'the result backend of this app has no outbox: countdown, eta, tx, track, unique and retries need one',
    );
  }

  // Whoever cannot be asked now is asked again: until then what is written is sent from here, or by a relay.
  async #isQueueTable(outbox: Outbox): Promise<boolean> {
    const asking =
      this.#queueTable.value ?? this.#queueTable.get(async () => isQueueTable(await this.transport(), outbox));
    return await Promise.resolve(asking).catch(() => false);
  }

  #inlineHost(settings: Settings): ConstructorParameters<typeof InlineTransport>[0] {
    return {
      runtime: this.runtime,
      resolver: this.resolver,
      maxSize: settings.results?.maxSize ?? Infinity,
      rules: messageRules(settings),
      find: (task) => this.#tasks.get(task) ?? this.#known.get(task),
      results: () => this.connectResults(),
    };
  }

  #register(taskClass: TaskClass, origin: string | null): void {
    const definition = this.#tasks.register(taskClass, origin);
    if (definition.taskClass.length > 0 && !this.#hasResolver) {
      throw new LovageError(
        'LOVAGE_TASK_DEFINITION',
        `the constructor of ${definition.taskClass.name} takes ${definition.taskClass.length} argument(s) and the app has no resolver: ` +
          'new Lovage({ resolver: (taskClass) => container.get(taskClass) })',
      );
    }
  }

  #addLayer(source: object, options: { readonly namespace?: string; readonly origin: string }): void {
    this.#assertUnused('configFromObject');
    const layer = readLayer(source, options);
    this.#layers.push(() => Promise.resolve(layer));
  }

  #assertUnused(method: string): void {
    if (this.#settings.used)
      throw new LovageError(
        'LOVAGE_USAGE',
        `${method}() comes too late: the app's configuration has been read already`,
      );
  }

  #assertUnloaded(method: string): void {
    if (this.#loaded.used)
      throw new LovageError('LOVAGE_USAGE', `${method}() comes too late: the app's tasks have been loaded already`);
  }
}

function routingOf(settings: Settings): Routing {
  return {
    route: createRouter(settings),
    queueSpec: (queue) => queueSpec(settings, queue),
    maxSize: settings.results?.maxSize ?? Infinity,
    rules: messageRules(settings),
  };
}

function stopped(): LovageError {
  return new LovageError('LOVAGE_STOPPED', 'the app has been stopped');
}

/** True for an app, from whichever copy of the package. */
export function isLovageApp(value: unknown): value is Lovage {
  return typeof value === 'object' && value !== null && APP in value;
}

/** Makes a value once; a failure is forgotten, so that the next call tries again. */
class Once<T> {
  #promise: Promise<T> | undefined;
  #value: T | undefined;

  get used(): boolean {
    return this.#promise !== undefined;
  }

  /** The value, once it is there. */
  get value(): T | undefined {
    return this.#value;
  }

  get(make: () => Promise<T>): Promise<T> {
    this.#promise ??= make().then(
      (value) => (this.#value = value),
      (error: unknown) => {
        this.#promise = undefined;
        throw error;
      },
    );
    return this.#promise;
  }

  /** The value if it was ever asked for and made; undefined otherwise. Waits for one under way. */
  async settled(): Promise<T | undefined> {
    return this.#promise?.catch(() => undefined);
  }
}
