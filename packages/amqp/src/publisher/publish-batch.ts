import type { LovageError, Message } from '@lovage/core';

export type PublishOutcome = LovageError | null;

/** One call of `publish`: its messages, and what became of each. */
export class PublishBatch {
  readonly messages: readonly Message[];
  readonly done: Promise<readonly PublishOutcome[]>;
  /** When it fails unless the broker says something about it before; on the monotonic clock. */
  deadline: number;
  readonly #outcomes: (PublishOutcome | undefined)[];
  #next = 0;
  #open: number;
  #resolve!: (outcomes: readonly PublishOutcome[]) => void;

  constructor(messages: readonly Message[], deadline: number) {
    this.messages = messages;
    this.deadline = deadline;
    this.#open = messages.length;
    this.#outcomes = new Array<PublishOutcome | undefined>(messages.length).fill(undefined);
    this.done = new Promise((resolve) => (this.#resolve = resolve));
  }

  /** Every message has its outcome. */
  get isOver(): boolean {
    return this.#open === 0;
  }

  /** No message is left to be sent for the first time. */
  get isTaken(): boolean {
    return this.isOver || this.#next === this.messages.length;
  }

  /** The index of the next message to send. Only while `isTaken` is false. */
  take(): number {
    return this.#next++;
  }

  /** The first word about a message counts. */
  settle(index: number, outcome: PublishOutcome): void {
    if (this.#outcomes[index] !== undefined) return;
    this.#outcomes[index] = outcome;
    this.#open -= 1;
    if (this.#open === 0) this.#resolve(this.#outcomes as PublishOutcome[]);
  }

  /** Settles all that is open. */
  fail(errorOf: (message: Message) => LovageError): void {
    this.messages.forEach((message, index) => {
      if (this.#outcomes[index] === undefined) this.settle(index, errorOf(message));
    });
  }
}

/** One message of a batch on its way. */
export interface Sending {
  readonly batch: PublishBatch;
  readonly index: number;
  /** It was sent before and its confirm was lost: the broker may have it. */
  readonly again: boolean;
  /** Why the broker returned it, as it will confirm it all the same. */
  returned: string | null;
}
