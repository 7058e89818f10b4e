import {
  Lovage,
  deadQueueOf,
  encodeTask,
  type AppOptions,
  type Delivery,
  type EventName,
  type LovageEvents,
  type Message,
  type TaskClass,
  type TaskEnvelope,
  type TaskRequest,
  type Transport,
} from '@lovage/core';
import { Worker } from '../src/worker.js';
import type { WorkerOptions } from '../src/worker-options.js';
import { FragileResults } from './fragile-results.js';
import { FragileTransport } from './fragile-transport.js';
import { ShiftedRuntime } from './shifted-runtime.js';

const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

export interface RigOptions {
  readonly tasks: readonly TaskClass[];
  readonly worker?: WorkerOptions;
  /** null: an app without results. */
  readonly results?: null;
  readonly app?: AppOptions;
  /** Another rig: this one has its clocks, its records and its in-memory broker. */
  readonly beside?: Rig;
}

let rigs = 0;

/** One app, one worker and the in-memory broker between them; every event is kept. */
export class Rig {
  /** The clocks of the app and of its in-memory database. */
  readonly runtime: ShiftedRuntime;
  readonly results: FragileResults;
  /** The in-memory broker, unless the app names another. */
  readonly broker: FragileTransport;
  readonly app: Lovage;
  readonly worker: Worker;
  readonly events: { readonly [K in EventName]?: LovageEvents[K][] } = {};
  readonly queue: string;
  #changed: (() => void)[] = [];

  constructor({ tasks, worker, results, app, beside }: RigOptions) {
    this.runtime = beside?.runtime ?? new ShiftedRuntime();
    this.results = beside?.results ?? new FragileResults(this.runtime);
    this.broker = beside?.broker ?? new FragileTransport(`memory://rig-${(rigs += 1)}`);
    this.queue = app?.defaultQueue ?? 'lovage';
    this.app = new Lovage({
      name: 'rig',
      broker: this.broker,
      results: results === null ? null : this.results,
      runtime: this.runtime,
      ...app,
    }).register(...tasks);
    for (const name of OBSERVED) this.app.events.on(name, (event) => this.#keep(name, event));
    this.worker = new Worker(this.app, { logger: { ...quiet, child: () => quiet }, ...worker });
  }

  transport(): Promise<Transport> {
    return this.app.connectBroker();
  }

  /** Resolves with the first `count` events of a name. */
  async seen<K extends EventName>(name: K, count = 1): Promise<readonly LovageEvents[K][]> {
    await this.until(() => this.of(name).length >= count);
    return this.of(name);
  }

  /** Resolves once this holds, looked at after each event. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#changed.push(resolve));
  }

  of<K extends EventName>(name: K): readonly LovageEvents[K][] {
    return this.events[name] ?? [];
  }

  async publish(...messages: readonly Message[]): Promise<void> {
    const errors = await (await this.transport()).publish(messages);
    for (const error of errors) if (error !== null) throw error;
  }

  /** Messages that are ready: neither run nor held by a consumer. */
  async ready(queue: string = this.queue): Promise<number | undefined> {
    const depths = await (await this.transport()).capabilities.inspect?.depths([queue]);
    return depths?.[0]?.messages;
  }

  /** Takes the first `count` messages out of a queue. */
  async take(queue: string, count: number): Promise<readonly Message[]> {
    const taken: Delivery[] = [];
    const transport = await this.transport();
    let full: () => void = () => undefined;
    const done = new Promise<void>((resolve) => (full = resolve));
    const onDeliveries = (deliveries: readonly Delivery[]) => {
      taken.push(...deliveries);
      if (taken.length >= count) full();
    };
    const consumer = await transport.consume({ queue, prefetch: 1_000, onDeliveries });
    await done;
    consumer.ack(taken);
    await consumer.close();
    return taken.map(({ message }) => message);
  }

  takeDead(count: number): Promise<readonly Message[]> {
    return this.take(deadQueueOf(this.queue), count);
  }

  async stop(): Promise<void> {
    await this.worker.stop({ now: true });
    await this.app.stop();
  }

  #keep(name: EventName, event: unknown): void {
    ((this.events as Record<string, unknown[]>)[name] ??= []).push(event);
    for (const changed of this.#changed.splice(0)) changed();
  }
}

const OBSERVED: readonly EventName[] = [
  'task:received',
  'task:started',
  'task:succeeded',
  'task:failed',
  'task:revoked',
  'task:retried',
  'task:postponed',
  'task:parked',
  'task:duplicate',
  'message:dead',
  'connection:open',
  'connection:lost',
  'connection:retry',
  'worker:ready',
  'worker:stopping',
  'worker:stopped',
  'warning',
];

/** A task message as a caller would send it. */
export function messageOf(task: string, envelope: Partial<TaskEnvelope> = {}, args: readonly unknown[] = []): Message {
  return encodeTask(requestOf(task, envelope), JSON.stringify(args), '{}');
}

/** A call of a task without arguments. */
export function requestOf(task: string, envelope: Partial<TaskEnvelope> = {}): TaskRequest {
  const id = envelope.id ?? `id-${(ids += 1)}`;
  return {
    id,
    task,
    queue: 'lovage',
    attempt: 0,
    retries: 0,
    expires: null,
    eta: null,
    parentId: null,
    rootId: id,
    groupId: null,
    priority: null,
    shadow: null,
    ignoreResult: null,
    replyTo: null,
    republished: false,
    tracked: false,
    unique: null,
    timeLimits: null,
    unknownSince: null,
    origin: 'test',
    headers: {},
    args: [],
    kwargs: {},
    ...envelope,
  };
}

let ids = 0;
