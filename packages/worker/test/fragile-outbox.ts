import type {
  EnqueueResult,
  Outbox,
  OutboxCall,
  OutboxClaim,
  OutboxMessage,
  OutboxWatch,
  ScheduledFilter,
  ScheduledTask,
  UniqueHold,
} from '@lovage/core';

/** An outbox that tells what is asked of it, and lets a test stop between any two steps. */
export class FragileOutbox implements Outbox {
  readonly claims: OutboxClaim[] = [];
  readonly limits: number[] = [];
  readonly removed: string[] = [];
  readonly parked: OutboxMessage[] = [];
  readonly renewed: { readonly rowIds: readonly string[]; readonly inMs: number; readonly kept: readonly string[] }[] =
    [];
  readonly released: UniqueHold[] = [];
  /** Called before each step; what it throws is the step's error. */
  before: (step: 'claim' | 'park' | 'renew' | 'remove' | 'release') => void | Promise<void> = () => undefined;
  /** Called with what a claim has found, before the relay hears of it. */
  claimed: (claim: OutboxClaim) => void | Promise<void> = () => undefined;
  /** Called when a row has been parked; what it throws is all that the worker hears. */
  parkedBut: (row: OutboxMessage) => void = () => undefined;
  #watching = 0;
  #waiting: (() => void)[] = [];
  readonly #inner: Outbox;
  readonly #changed: () => void;

  constructor(inner: Outbox, changed: () => void = () => undefined) {
    this.#inner = inner;
    this.#changed = changed;
  }

  /** Resolves once this holds, looked at after each step. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  get watching(): number {
    return this.#watching;
  }

  enqueue(calls: readonly OutboxCall[]): Promise<readonly EnqueueResult[]> {
    return this.#inner.enqueue(calls);
  }

  requeue(call: OutboxCall): Promise<boolean> {
    return this.#inner.requeue(call);
  }

  async claim(limit: number): Promise<OutboxClaim> {
    this.limits.push(limit);
    await this.before('claim');
    const claim = await this.#inner.claim(limit);
    this.claims.push(claim);
    this.#tell();
    await this.claimed(claim);
    return claim;
  }

  async park(row: OutboxMessage): Promise<void> {
    await this.before('park');
    await this.#inner.park(row);
    this.parked.push(row);
    this.parkedBut(row);
    this.#tell();
  }

  async renew(rowIds: readonly string[], inMs: number): Promise<readonly string[]> {
    await this.before('renew');
    const kept = await this.#inner.renew(rowIds, inMs);
    this.renewed.push({ rowIds, inMs, kept });
    this.#tell();
    return kept;
  }

  async remove(rowIds: readonly string[]): Promise<void> {
    await this.before('remove');
    await this.#inner.remove(rowIds);
    this.removed.push(...rowIds);
    this.#tell();
  }

  async release(holds: readonly UniqueHold[]): Promise<void> {
    await this.before('release');
    this.released.push(...holds);
    await this.#inner.release(holds);
  }

  watch(onWake: () => void): OutboxWatch {
    this.#watching += 1;
    const watch = this.#inner.watch(onWake);
    return {
      stop: async () => {
        this.#watching -= 1;
        await watch.stop();
      },
    };
  }

  scheduled(filter: ScheduledFilter): Promise<readonly ScheduledTask[]> {
    return this.#inner.scheduled(filter);
  }

  cancel(taskIds: readonly string[]): Promise<readonly string[]> {
    return this.#inner.cancel(taskIds);
  }

  #tell(): void {
    this.#changed();
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
