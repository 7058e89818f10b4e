import type { FaultPlan } from './fault-point.js';

/** Which server has the queues. `postgres`: they are in the schema of the results, whose outbox is the queue. */
export type Broker = 'rabbitmq' | 'postgres';

/** Where a process of these tests works. */
export interface Place {
  /** One URL, or those of the nodes of a cluster. */
  readonly broker: string | readonly string[];
  readonly results: string;
  readonly schema: string;
  readonly queue: string;
}

/** What one worker is to do. */
export interface Assignment extends Place {
  readonly kind: 'assign';
  readonly concurrency: number;
  readonly prefetch: number;
  /** The URL of the database in whose table `ledger` tasks write their executions; null: they do not. */
  readonly ledger: string | null;
  /** Of the connections to the broker, in milliseconds; default: Lovage's. */
  readonly heartbeatMs?: number;
  /** null: it lives. */
  readonly plan: FaultPlan | null;
}

export type WorkerOrder =
  Assignment | { readonly kind: 'numbers' } | { readonly kind: 'footprint' } | { readonly kind: 'stop' };

/** What a worker says. */
export type WorkerWord =
  | { readonly kind: 'ready' }
  | { readonly kind: 'violation'; readonly violation: string }
  | ({ readonly kind: 'numbers' } & WorkerNumbers)
  | ({ readonly kind: 'footprint' } & Footprint);

export interface WorkerNumbers {
  readonly delivered: number;
  readonly acknowledged: number;
  /** Deliveries that are neither acknowledged nor given back. */
  readonly held: number;
  readonly mostHeld: number;
  readonly commits: number;
  readonly resultsFailed: number;
  readonly running: number;
  readonly consuming: boolean;
  readonly rssMb: number;
}

/** What a process takes up, after a garbage collection. */
export interface Footprint {
  readonly rssMb: number;
  readonly heapMb: number;
  /** What keeps its event loop alive: sockets, timers and the like. */
  readonly handles: number;
}

/** What a process that enqueues under transactions is to do. */
export interface CallerAssignment extends Omit<Place, 'broker'> {
  readonly kind: 'assign';
  readonly seed: number;
  /** Transactions are numbered from here on. */
  readonly from: number;
  readonly count: number;
}

/** What such a process says: it begins a transaction. */
export interface CallerWord {
  readonly kind: 'begun';
  readonly n: number;
}
