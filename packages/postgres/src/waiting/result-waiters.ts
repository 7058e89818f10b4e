import type { LovageError, Runtime, TaskRecord } from '@lovage/core';

export interface ResultWaitersOptions {
  /** Reads the records of those of the ids that have ended. */
  readonly read: (ids: readonly string[]) => Promise<readonly TaskRecord[]>;
  readonly onReadError: (error: unknown) => void;
  readonly runtime: Runtime;
}

interface Waiter {
  readonly resolve: (record: TaskRecord) => void;
  readonly reject: (reason: unknown) => void;
}

interface Waiting {
  readonly waiters: Set<Waiter>;
  pollDelayMs: number;
  nextPollAt: number;
}

const FIRST_POLL_MS = 50;
const LAST_POLL_MS = 1_000;
/** Each record may hold a result of 1 MB. */
const READ_AT_ONCE = 250;

/**
 * The tasks that callers of this process wait for. Each is read when it is first asked for, when a wake names it, and after 50 ms, doubling
 * to 1 s, in case no wake comes. One query at a time reads all that are due.
 */
export class ResultWaiters {
  readonly #options: ResultWaitersOptions;
  readonly #waiting = new Map<string, Waiting>();
  readonly #due = new Set<string>();
  #reading = false;
  #readScheduled = false;
  #poll: NodeJS.Timeout | undefined;

  constructor(options: ResultWaitersOptions) {
    this.#options = options;
  }

  wait(id: string, signal: AbortSignal): Promise<TaskRecord> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason as Error);
      const settle =
        <T>(then: (value: T) => void) =>
        (value: T): void => {
          signal.removeEventListener('abort', onAbort);
          this.#remove(id, waiter);
          then(value);
        };
      const waiter: Waiter = { resolve: settle(resolve), reject: settle(reject) };
      const onAbort = (): void => waiter.reject(signal.reason);
      signal.addEventListener('abort', onAbort, { once: true });
      this.#add(id, waiter);
    });
  }

  /** Reads those of the ids that somebody waits for. */
  wake(ids: Iterable<string>): void {
    for (const id of ids) if (this.#waiting.has(id)) this.#due.add(id);
    this.#scheduleRead();
  }

  wakeAll(): void {
    this.wake(this.#waiting.keys());
  }

  /** Ends all waits with the error. */
  stop(error: LovageError): void {
    for (const { waiters } of [...this.#waiting.values()]) for (const waiter of [...waiters]) waiter.reject(error);
  }

  #add(id: string, waiter: Waiter): void {
    const waiting = this.#waiting.get(id) ?? { waiters: new Set(), pollDelayMs: 0, nextPollAt: 0 };
    waiting.waiters.add(waiter);
    waiting.pollDelayMs = FIRST_POLL_MS;
    waiting.nextPollAt = this.#options.runtime.monotonic() + FIRST_POLL_MS;
    this.#waiting.set(id, waiting);
    this.wake([id]);
    this.#poll ??= setInterval(() => this.#wakeOverdue(), FIRST_POLL_MS);
  }

  #remove(id: string, waiter: Waiter): void {
    const waiting = this.#waiting.get(id);
    waiting?.waiters.delete(waiter);
    if (waiting?.waiters.size === 0) this.#waiting.delete(id);
    if (this.#waiting.size > 0) return;
    clearInterval(this.#poll);
    this.#poll = undefined;
  }

  #wakeOverdue(): void {
    const now = this.#options.runtime.monotonic();
    const overdue: string[] = [];
    for (const [id, waiting] of this.#waiting) {
      if (waiting.nextPollAt > now) continue;
      waiting.pollDelayMs = Math.min(LAST_POLL_MS, waiting.pollDelayMs * 2);
      waiting.nextPollAt = now + waiting.pollDelayMs;
      overdue.push(id);
    }
    this.wake(overdue);
  }

  /** On the next turn of the loop, so that calls made together are one query. */
  #scheduleRead(): void {
    if (this.#readScheduled || this.#reading || this.#due.size === 0) return;
    this.#readScheduled = true;
    setImmediate(() => {
      this.#readScheduled = false;
      void this.#readDue();
    });
  }

  async #readDue(): Promise<void> {
    this.#reading = true;
    const ids = [...this.#due].slice(0, READ_AT_ONCE);
    for (const id of ids) this.#due.delete(id);
    try {
      const wanted = ids.filter((id) => this.#waiting.has(id));
      const records = wanted.length === 0 ? [] : await this.#options.read(wanted);
      for (const record of records)
        for (const waiter of [...(this.#waiting.get(record.id)?.waiters ?? [])]) waiter.resolve(record);
    } catch (error) {
      // They are read again when their poll is due.
      this.#options.onReadError(error);
    }
    this.#reading = false;
    this.#scheduleRead();
  }
}
