import { isLovageError, type EventSink, type Outbox, type ResultBackend } from '@lovage/core';
import type { Execution } from './execution.js';
import { Outage } from './outage.js';

export interface ParkingOptions {
  readonly outbox: Outbox;
  /** How long a row is this process's, unless it renews it. */
  readonly leaseMs: number;
  readonly events: EventSink;
}

/** null: there is no outbox to park anything in. */
export function parkingOf(results: ResultBackend | null, options: Omit<ParkingOptions, 'outbox'>): Parking | null {
  const outbox = results?.capabilities.outbox;
  return outbox === undefined ? null : new Parking({ ...options, outbox });
}

/**
 * Keeps the messages of tasks that run for longer than the broker lets anybody hold a delivery: each becomes a row of the outbox, leased to this process, and its deliveries are
 * acknowledged. The commit of the task's end deletes the row. A lease that nobody renews ends, and a relay sends the message again.
 *
 * What makes it safe: a delivery is acknowledged only once its row is written, and a row is deleted only once the task has ended or another copy of the message is in the broker. A relay deletes
 * a row after it has sent it; so a copy that comes is held, never acknowledged on the strength of the row that it may have been, and parked later in a row of its own.
 */
export class Parking {
  readonly #options: ParkingOptions;
  /** By row. */
  readonly #parked = new Map<string, Execution>();
  /** Those whose messages no outbox, or no broker, takes. */
  readonly #refused = new WeakSet<Execution>();
  readonly #underWay = new Set<Promise<unknown>>();
  readonly #outage: Outage;

  constructor(options: ParkingOptions) {
    this.#options = options;
    this.#outage = new Outage('the messages of long tasks cannot be kept in the outbox', options.events);
  }

  /** Never rejects: what cannot be parked now keeps its deliveries. */
  async park(executions: readonly Execution[]): Promise<void> {
    await Promise.all(executions.map((execution) => this.#park(execution)));
  }

  /** Moves the leases of what is parked on. Never rejects. */
  async renew(): Promise<void> {
    const { outbox, leaseMs } = this.#options;
    for (const [rowId, { phase, custody }] of this.#parked)
      if (phase === 'settled' || phase === 'returned' || custody.row !== rowId) this.#parked.delete(rowId);
    const rowIds = [...this.#parked.keys()];
    if (rowIds.length === 0) return;
    const kept = await this.#attempt(() => outbox.renew(rowIds, leaseMs));
    if (kept === null) return;
    const there = new Set(kept);
    for (const rowId of rowIds) {
      if (there.has(rowId)) continue;
      this.#parked.get(rowId)?.custody.unpark(rowId);
      this.#parked.delete(rowId);
    }
  }

  /** Gives rows to whoever runs their tasks next. One that cannot be given now is taken when its lease ends. */
  handBack(rowIds: readonly string[]): void {
    if (rowIds.length > 0) this.#begin(() => this.#options.outbox.renew(rowIds, 0));
  }

  /** This row is not to be relied on any more. */
  drop(rowId: string): void {
    this.#begin(() => this.#options.outbox.remove([rowId]));
  }

  /** Resolves when nothing is being handed back or dropped. */
  async idle(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  async #park(execution: Execution): Promise<void> {
    if (this.#refused.has(execution)) return;
    const row = execution.parkedMessage(this.#options.leaseMs);
    if (row === null) return void this.#refused.add(execution);
    const written = await this.#attempt(async () => {
      await this.#options.outbox.park(row);
      return true;
    }, execution);
    if (written === null) return;
    // It has ended meanwhile, or was given up, or a copy has come.
    if (execution.phase !== 'running' || !execution.custody.park(row.rowId)) return this.drop(row.rowId);
    this.#parked.set(row.rowId, execution);
    const { request, runtimeMs } = execution;
    this.#options.events.emit('task:parked', { request, runtimeMs: runtimeMs ?? 0 });
  }

  #begin(work: () => Promise<unknown>): void {
    const begun: Promise<unknown> = this.#attempt(work).finally(() => this.#underWay.delete(begun));
    this.#underWay.add(begun);
  }

  /** null: it failed. */
  async #attempt<T>(work: () => Promise<T>, execution?: Execution): Promise<T | null> {
    try {
      const value = await work();
      this.#outage.worked();
      return value;
    } catch (error) {
      if (execution !== undefined && isLovageError(error, 'LOVAGE_RESULT_NOT_STORABLE')) this.#refused.add(execution);
      this.#outage.failed(error);
      return null;
    }
  }
}
