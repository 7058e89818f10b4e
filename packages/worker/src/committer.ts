import {
  failureOf,
  isLovageError,
  type CommitResult,
  type Completion,
  type OutboxMessage,
  type ResultBackend,
  type Runtime,
} from '@lovage/core';
import type { Retrier } from './retrier.js';

/** What is to be committed, and what follows it. */
export interface Commitment {
  /** Replaced by its failure when the backend cannot store it. */
  completion: Completion;
  /** Called once, after the commit; with an error when not even the failure could be stored. Must not throw. */
  settled(result: CommitResult): void;
}

export interface CommitterOptions {
  readonly results: ResultBackend;
  readonly retrier: Retrier;
  readonly runtime: Runtime;
  /**
   * Told what an applied commit has written to the outbox, and when that commit was sent, by the monotonic clock. Not told where an answer was lost: nobody knows then
   * when it was written. Must not throw.
   */
  readonly caused: (rows: readonly OutboxMessage[], committedAt: number) => void;
}

/** What a commit answered. */
interface Committed {
  readonly results: readonly CommitResult[];
  readonly sentAt: number;
}

/** At most so many completions go into one commit. */
const BATCH = 500;
/** Two flushes at once: the database works on one while the next is encoded. */
const LANES = 2;

/**
 * Group commit without a timer: a flush starts as soon as something waits and fewer than two are under way, so that an idle
 * worker waits for nothing and a busy one batches by itself. What cannot be committed now is kept and tried again, for ever;
 * its deliveries stay unacknowledged, so the prefetch bounds what is kept.
 */
export class Committer {
  readonly #options: CommitterOptions;
  readonly #replaced = new WeakSet<Commitment>();
  /** Those of a commit that was rejected: it may have been applied all the same. */
  readonly #resent = new WeakSet<Commitment>();
  /** States on the way, the newest of each task: written when there is room, dropped when the database is away. */
  readonly #notes = new Map<string, Completion>();
  #waiting: Commitment[] = [];
  #lanes = 0;
  /** Those whose rows were found locked by somebody's transaction. */
  #locked: Commitment[] = [];
  #isUnlocking = false;
  #scheduled = false;
  #idle: (() => void)[] = [];
  readonly #start = () => this.#startLanes();

  constructor(options: CommitterOptions) {
    this.#options = options;
  }

  push(commitment: Commitment): void {
    if (this.#notes.size > 0) this.#notes.delete(commitment.completion.record.id);
    this.#waiting.push(commitment);
    this.#schedule();
  }

  /** A non-final state. Not to be called for a task whose final completion has been pushed. */
  note(completion: Completion): void {
    if (this.#options.retrier.failing) return;
    this.#notes.set(completion.record.id, completion);
    this.#schedule();
  }

  /** Resolves when nothing waits and nothing is under way. */
  idle(): Promise<void> {
    return this.#isIdle() ? Promise.resolve() : new Promise((resolve) => this.#idle.push(resolve));
  }

  // At the end of this turn of the event loop: what ends in one turn is one batch.
  #schedule(): void {
    if (this.#scheduled || this.#lanes >= LANES) return;
    this.#scheduled = true;
    setImmediate(this.#start);
  }

  #startLanes(): void {
    this.#scheduled = false;
    while (this.#lanes < LANES && this.#hasWork()) {
      this.#lanes += 1;
      void this.#lane();
    }
  }

  async #lane(): Promise<void> {
    try {
      await this.#options.retrier.untilStopped(async () => {
        while (this.#hasWork()) await this.#flush();
      });
    } finally {
      this.#lanes -= 1;
      this.#tellIdle();
    }
  }

  async #flush(): Promise<void> {
    const batch = this.#waiting.length <= BATCH ? this.#waiting : this.#waiting.slice(0, BATCH);
    this.#waiting = this.#waiting.length <= BATCH ? [] : this.#waiting.slice(BATCH);
    await this.#commitAll(batch, this.#takeNotes(BATCH - batch.length));
  }

  async #commitAll(batch: readonly Commitment[], notes: readonly Completion[]): Promise<void> {
    const { results, sentAt } = await this.#commit(batch, notes);
    for (const [index, commitment] of batch.entries()) {
      const { followUps } = commitment.completion;
      if (results[index] === 'applied' && followUps.length > 0) this.#options.caused(followUps, sentAt);
      this.#settle(commitment, results[index] as CommitResult);
    }
  }

  async #commit(batch: readonly Commitment[], notes: readonly Completion[]): Promise<Committed> {
    const { results, retrier, runtime } = this.#options;
    const completions = batch.map(({ completion }) => completion).concat(notes);
    return retrier.run(async () => {
      const sentAt = runtime.monotonic();
      try {
        return { results: await results.commit(completions), sentAt };
      } catch (error) {
        for (const commitment of batch) this.#resent.add(commitment);
        completions.length = batch.length;
        this.#notes.clear();
        if (batch.length === 0) return { results: [], sentAt };
        throw error;
      }
    });
  }

  #settle(commitment: Commitment, result: CommitResult): void {
    if (isLovageError(result, 'LOVAGE_RESULTS_UNAVAILABLE')) return this.#defer(commitment);
    if (!isLovageError(result) || this.#replaced.has(commitment)) {
      // Superseded by its own first try, whose answer was lost.
      commitment.settled(result === 'superseded' && this.#resent.has(commitment) ? 'applied' : result);
      return;
    }
    this.#replaced.add(commitment);
    commitment.completion = failureOf(commitment.completion, result);
    this.push(commitment);
  }

  #defer(commitment: Commitment): void {
    this.#locked.push(commitment);
    if (this.#isUnlocking) return;
    this.#isUnlocking = true;
    void this.#unlock();
  }

  // By themselves: a commit that waits for a lock holds up all that is in it.
  async #unlock(): Promise<void> {
    const { retrier } = this.#options;
    try {
      await retrier.untilStopped(async () => {
        for (let attempt = 1; this.#locked.length > 0; attempt += 1) {
          await retrier.backOff(attempt);
          await this.#commitAll(this.#locked.splice(0, BATCH), []);
        }
      });
    } finally {
      this.#isUnlocking = false;
      this.#tellIdle();
    }
  }

  #takeNotes(count: number): readonly Completion[] {
    if (this.#notes.size === 0) return [];
    const taken = [...this.#notes.values()].slice(0, count);
    for (const { record } of taken) this.#notes.delete(record.id);
    return taken;
  }

  #hasWork(): boolean {
    return this.#waiting.length > 0 || this.#notes.size > 0;
  }

  #isIdle(): boolean {
    return this.#lanes === 0 && !this.#isUnlocking && !this.#hasWork();
  }

  #tellIdle(): void {
    if (this.#isIdle()) for (const resolve of this.#idle.splice(0)) resolve();
  }
}
