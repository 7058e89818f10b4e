import type { LovageError } from '../errors/lovage-error.js';
import type { Delivery, Message } from '../message/message.js';
import type { SchemaManager } from '../runtime/schema-manager.js';
import type { StartOptions } from '../runtime/start-options.js';

/** How one queue is declared. `<name>.lost` and `<name>.dead` stand beside it (see `declare`). */
export interface QueueSpec {
  readonly name: string;
  /** `quorum`: replicated, the default. `classic`: for priorities, and for Celery workers up to 5.4. */
  readonly type: 'quorum' | 'classic';
  /** 1 to 255: how many priorities a classic queue keeps apart; null: none. */
  readonly maxPriority: number | null;
  /** false: the queue belongs to somebody else; it must exist and is never declared. */
  readonly declare: boolean;
}

/** What only some transports can do. A power that is absent is undefined. */
export interface TransportCapabilities {
  readonly inspect?: QueueInspector;
  /** The tables that it keeps messages in. */
  readonly schema?: SchemaManager;
  /** The table that its queues are. */
  readonly table?: QueueTable;
  /** How long a delivery may stay unsettled, in milliseconds: the broker then gives all that its consumer holds to others. Absent: for ever. */
  readonly consumerTimeoutMs?: number;
}

/** The table of a transport whose queues are in a database. */
export interface QueueTable {
  /** Names the table: the same through every connection to it, and no other table's. Works before `start`; throws as connecting does. */
  id(): Promise<string>;

  /** This process has written a row that is due in so many milliseconds: the transport's consumers look for it then. */
  wakeIn(ms: number): void;
}

/** Looks into queues, and takes messages out of them. */
export interface QueueInspector {
  /** Messages ready and consumers of each queue, in the order asked; null for a queue that does not exist. */
  depths(queues: readonly string[]): Promise<readonly (QueueDepth | null)[]>;
  /** Removes all messages that are ready; resolves with their number. A missing queue throws LOVAGE_UNROUTABLE. */
  purge(queue: string): Promise<number>;
  /**
   * Shows the messages that are ready to `visitor`, one after another, in the order in which they would be delivered, and removes each of which it says so before it shows the next. What arrives
   * meanwhile is not shown, and nobody else is given what is being shown. What is kept stays in its place, and may count as delivered once more. Resolves with how many were shown. Rejects with what `visitor`
   * throws: that message and those after it are kept. A missing queue throws LOVAGE_UNROUTABLE. Where the connection is lost meanwhile (LOVAGE_BROKER_UNAVAILABLE), what was removed last may be there again.
   */
  visit(queue: string, options: VisitOptions, visitor: QueueVisitor): Promise<number>;
}

export interface VisitOptions {
  /** At most so many messages. Default: all. */
  readonly limit?: number | undefined;
}

/** Decides what becomes of a message in its queue. */
export type QueueVisitor = (message: Message) => Promise<'keep' | 'remove'>;

export interface QueueDepth {
  readonly messages: number;
  readonly consumers: number;
}

/**
 * Carries messages. Batch first: one call, one round of confirms.
 * A driver emits `connection:*` events with target 'broker' on the bus it was created with.
 */
export interface Transport {
  readonly capabilities: TransportCapabilities;

  /**
   * Connects. Throws LOVAGE_BROKER_UNAVAILABLE when `retryForMs` is over and LOVAGE_ACCESS_REFUSED at once (LOVAGE_SCHEMA: its tables are missing, or others'); after a failure it
   * may be called again. From the first success on, a lost connection is repaired in the background until `stop`.
   */
  start(options: StartOptions): Promise<void>;

  /** Idempotent. Open publishes end with an error; unsettled deliveries go back to their queues. */
  stop(): Promise<void>;

  /**
   * Makes sure that the queues exist as specified, with `<name>.dead` beside each, and `<name>.lost` beside each quorum queue
   * (rule 6). A queue with other arguments throws LOVAGE_QUEUE_MISMATCH, a missing one with `declare: false` LOVAGE_UNROUTABLE;
   * neither harms open consumers or publishes. What was declared is remembered, so that a second call costs nothing, and
   * restored after a reconnection; it is forgotten once a publish to it has come back LOVAGE_UNROUTABLE.
   */
  declare(queues: readonly QueueSpec[]): Promise<void>;

  /**
   * Sends and waits until the broker has taken each message: one entry a message, in order: null once confirmed, else
   * its error: LOVAGE_UNROUTABLE, LOVAGE_PUBLISH (refused), LOVAGE_BROKER_UNAVAILABLE (no outcome within the publish timeout), LOVAGE_STOPPED.
   * A message whose confirm was lost is sent again with the header `republished` = true. Never rejects for one message's sake.
   */
  publish(messages: readonly Message[]): Promise<readonly (LovageError | null)[]>;

  /** Starts to consume. Resolves when the broker has accepted the consumer. */
  consume(options: ConsumeOptions): Promise<Consumer>;
}

export interface ConsumeOptions {
  readonly queue: string;
  /** How many unsettled deliveries the broker may leave with this consumer; at least 1. */
  readonly prefetch: number;
  /** Called with what arrived together, never empty, and never before `consume` has resolved. It must not throw. */
  readonly onDeliveries: (deliveries: readonly Delivery[]) => void;
  /**
   * Called when what was delivered and is unsettled has gone back to the broker, all of it or some, which delivers it again, to anyone. What is left is still to be settled
   * or handed back; for what has gone both are passed over. It must not throw.
   */
  readonly onLost?: () => void;
}

/** One consumer; it survives reconnections by itself. */
export interface Consumer {
  /** False while a reconnection is under way, and after `cancel`. */
  readonly consuming: boolean;

  /** Settles deliveries for good. One whose channel has gone is passed over: the broker delivers it again. */
  ack(deliveries: readonly Delivery[]): void;

  /** Hands deliveries back to the queue. To be called after `cancel`, or for what is `beyond` the prefetch: else the broker may hand them to the same consumer. */
  requeue(deliveries: readonly Delivery[]): void;

  /**
   * Changes how many unsettled deliveries it may hold; at least 1. Resolves when the broker has confirmed it (or the channel is gone: the next one begins with it). What is held beyond a
   * smaller prefetch is still to be settled. Changes nothing after `cancel`.
   */
  resize(prefetch: number): Promise<void>;

  /** Which of these deliveries, held by it, are beyond its prefetch since that was made smaller: they may be handed back before `cancel`, as they make no room for others here. */
  beyond(deliveries: readonly Delivery[]): readonly Delivery[];

  /** Resolves when the broker has confirmed it (or the channel is gone): no delivery comes after that. Settling goes on. Idempotent. */
  cancel(): Promise<void>;

  /** Sends what was settled, then closes; what is not settled goes back to the queue. Idempotent. */
  close(): Promise<void>;
}

/** The queue where messages wait that the broker itself took out of `queue` (rule 6). */
export function lostQueueOf(queue: string): string {
  return `${queue}.lost`;
}

/** The queue where messages end that no worker can run. */
export function deadQueueOf(queue: string): string {
  return `${queue}.dead`;
}

/** The queue that `queue` was declared with: the one that it is the `.lost` or `.dead` of, else itself. */
export function mainQueueOf(queue: string): string {
  return queue.replace(/(?<=.)\.(?:lost|dead)$/s, '');
}
