import type { EventBus } from '../events/event-bus.js';
import type { MessageRules } from '../message/message-rules.js';
import type { Outbox } from '../outbox/outbox.js';
import type { ResultBackend } from '../results/result-backend.js';
import type { Runtime } from '../runtime/runtime.js';
import type { TaskDefinition } from '../task/task-definition.js';
import type { QueueSpec, Transport } from '../transport/transport.js';
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
  /** The largest arguments that are stored, in bytes of JSON. */
  readonly maxSize: number;
  /** What its messages must be like. */
  readonly rules: MessageRules;
}

/** What the app gives those who send its calls. */
export interface SenderHost {
  readonly runtime: Runtime;
  readonly events: EventBus;
  /** Aborts when the app is stopped. */
  readonly stopped: AbortSignal;
  /** The code of a task, if this app has it. */
  find(task: string): TaskDefinition | undefined;
  /** Each call runs its task, side by side with the others. */
  isInline(): boolean;
  routing(): Routing | Promise<Routing>;
  /** Connects to the broker, if that has not been done. */
  transport(): Transport | Promise<Transport>;
  /** Connects to the results; throws LOVAGE_RESULTS_NOT_CONFIGURED for an app without. */
  readonly backend: () => Promise<ResultBackend>;
  /** Where calls are written; null for an app that runs its tasks inline. Throws LOVAGE_RESULTS_NOT_CONFIGURED, and LOVAGE_DRIVER for results that have none. */
  outbox(options: { readonly started: boolean }): Promise<Outbox | null>;
  /** What is written to it is in the queue. Never rejects. */
  isQueueTable(outbox: Outbox): Promise<boolean>;
  /** Where this process listens for ends; null until somebody waits. */
  replyTo(): string | null;
}
