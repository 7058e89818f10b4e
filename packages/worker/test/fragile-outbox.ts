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
  #watching = 0;
  readonly #inner: Outbox;
  readonly #changed: () => void;

  constructor(inner: Outbox, changed: () => void = () => undefined) {
    this.#inner = inner;
    this.#changed = changed;
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
    this.#changed();
    await this.claimed(claim);
    return claim;
  }

  async park(row: OutboxMessage): Promise<void> {
    await this.before('park');
    await this.#inner.park(row);
    this.parked.push(row);
    this.#changed();
  }

  async renew(rowIds: readonly string[], inMs: number): Promise<readonly string[]> {
    await this.before('renew');
    const kept = await this.#inner.renew(rowIds, inMs);
    this.renewed.push({ rowIds, inMs, kept });
    this.#changed();
    return kept;
  }

  async remove(rowIds: readonly string[]): Promise<void> {
    await this.before('remove');
    await this.#inner.remove(rowIds);
    this.removed.push(...rowIds);
    this.#changed();
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
}
