import { type Completion, type Delivery, type Message, type RecordState, isFinalState } from '@lovage/core';

/** What stands between a message and the row it came from: the same task, the same attempt. */
export function keyOf({ headers, correlationId }: Message): string {
  return attemptKey(correlationId ?? '', Number(headers['attempt'] ?? headers['retries'] ?? 0));
}

function attemptKey(id: string, attempt: number): string {
  return `${id} ${attempt}`;
}

/** The task that leaves no record where it has caused nothing. */
export const IGNORED = 'fault.ignored';

/** Watches one worker from where it meets its broker and its database, and says when it does a thing before what must come first. */
export class Witness {
  readonly #say: (violation: string) => void;
  readonly #prefetch: number;
  /** Attempts whose end is committed, or is known to be of no interest. */
  readonly #ended = new Set<string>();
  readonly #finished = new Set<string>();
  /** Messages that the broker has confirmed. */
  readonly #sent = new Set<string>();
  readonly #rows = new Map<string, string>();
  readonly #held = new Set<Delivery>();
  #delivered = 0;
  #acknowledged = 0;
  #mostHeld = 0;
  #commits = 0;
  #resultsFailed = 0;

  constructor(prefetch: number, say: (violation: string) => void) {
    this.#prefetch = prefetch;
    this.#say = say;
  }

  get numbers() {
    return {
      delivered: this.#delivered,
      acknowledged: this.#acknowledged,
      held: this.#held.size,
      mostHeld: this.#mostHeld,
      commits: this.#commits,
      resultsFailed: this.#resultsFailed,
    };
  }

  delivered(deliveries: readonly Delivery[]): void {
    this.#delivered += deliveries.length;
    for (const delivery of deliveries) this.#held.add(delivery);
    const held = this.#held.size;
    this.#mostHeld = Math.max(this.#mostHeld, held);
    if (held > this.#prefetch) this.#say(`holds ${held} deliveries, more than its prefetch of ${this.#prefetch}`);
  }

  committed({ record }: Completion): void {
    this.#commits += 1;
    if (isFinalState(record.state)) this.#ended.add(attemptKey(record.id, record.attempt));
    // These announce the attempt after the one that has ended.
    else if (record.state === 'RETRY' || record.state === 'PENDING')
      this.#ended.add(attemptKey(record.id, record.attempt - 1));
  }

  resultsFailed(): void {
    this.#resultsFailed += 1;
  }

  lookedUp(id: string, { state, attempt }: RecordState): void {
    if (isFinalState(state)) this.#finished.add(id);
    for (let past = 0; past < attempt; past++) this.#ended.add(attemptKey(id, past));
  }

  requeued(deliveries: readonly Delivery[]): void {
    for (const delivery of deliveries) this.#held.delete(delivery);
  }

  /** What it held is the broker's again. */
  lost(): void {
    this.#held.clear();
  }

  acknowledged(deliveries: readonly Delivery[]): void {
    for (const delivery of deliveries) if (this.#held.delete(delivery)) this.#acknowledged += 1;
    for (const { message } of deliveries) {
      const key = keyOf(message);
      const isFinished = this.#finished.has(message.correlationId ?? '');
      if (this.#ended.has(key) || isFinished || message.headers['task'] === IGNORED) continue;
      this.#say(`acknowledges ${key} before its commit`);
    }
  }

  sent(message: Message): void {
    this.#sent.add(keyOf(message));
  }

  /** A row of the outbox that this process is to send. */
  row(rowId: string, message: Message): void {
    this.#rows.set(rowId, keyOf(message));
  }

  removed(rowIds: readonly string[]): void {
    for (const rowId of rowIds) {
      const key = this.#rows.get(rowId);
      if (key === undefined || !this.#sent.has(key))
        this.#say(`removes row ${rowId} (${key ?? 'unknown'}) before its message is confirmed`);
    }
  }
}
