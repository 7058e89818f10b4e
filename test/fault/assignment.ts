import type { FaultPlan } from './fault-point.js';

/** Which server has the queues. `postgres`: they are in the schema of the results, whose outbox is the queue. */
export type Broker = 'rabbitmq' | 'postgres';

/** Where a process of these tests works. */
export interface Place {
  readonly broker: string;
  readonly results: string;
  readonly schema: string;
  readonly queue: string;
}

/** What one worker is to do. */
export interface Assignment extends Place {
  readonly kind: 'assign';
  readonly concurrency: number;
  readonly prefetch: number;
  /** Tasks write their executions into the table `ledger`. */
  readonly ledger: boolean;
  /** null: it lives. */
  readonly plan: FaultPlan | null;
}

export type WorkerOrder = Assignment | { readonly kind: 'numbers' } | { readonly kind: 'stop' };

/** What a worker says. */
export type WorkerWord =
  | { readonly kind: 'ready' }
  | { readonly kind: 'violation'; readonly violation: string }
  | ({ readonly kind: 'numbers' } & WorkerNumbers);

export interface WorkerNumbers {
  readonly delivered: number;
  readonly acknowledged: number;
  readonly mostHeld: number;
  readonly commits: number;
  readonly resultsFailed: number;
  readonly running: number;
  readonly rssMb: number;
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
