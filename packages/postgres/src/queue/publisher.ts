import { setTimeout as pause } from 'node:timers/promises';
import { type DriverContext, LovageError, type Message, backoffDelay, isLovageError } from '@lovage/core';
import { chunksOf } from '../database/chunks.js';
import { columnsOf } from '../database/columns.js';
import type { Database } from '../database/database.js';
import { messageSize } from '../records/record-batches.js';
import { PUBLISHED, type Publishing, type QueueStatements } from './statements.js';

export interface PublisherOptions {
  readonly database: Database;
  readonly statements: Pick<QueueStatements, 'publish'>;
  readonly context: DriverContext;
  /** How long a message is tried, in milliseconds. */
  readonly timeoutMs: number;
  /** Messages have been written to these queues. */
  readonly onPublished: (queues: readonly string[]) => void;
}

type Outcome = LovageError | null;

/** The messages of one call of `publish`. */
interface Job {
  readonly messages: readonly Message[];
  readonly outcomes: Outcome[];
  /** By the monotonic clock. */
  readonly deadline: number;
  readonly done: (outcomes: readonly Outcome[]) => void;
}

interface Entry extends Publishing {
  readonly job: Job;
  readonly index: number;
}

/** Two statements at once: the database works on one while the next is encoded. */
const LANES = 2;
/** A lane takes calls until it has so many messages. */
const BATCH = 500;
const BACKOFF = { minMs: 50, maxMs: 1_000 } as const;

/**
 * Writes messages into their queues. Calls that wait for a lane share its statements; the messages of one call stay in order, one statement after
 * another.
 */
export class Publisher {
  readonly #options: PublisherOptions;
  readonly #stopping = new AbortController();
  #waiting: Job[] = [];
  #lanes = 0;
  #scheduled = false;
  readonly #start = (): void => this.#startLanes();

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  /** One outcome a message, in order; never rejects. */
  publish(messages: readonly Message[]): Promise<readonly Outcome[]> {
    if (this.#stopping.signal.aborted) return Promise.resolve(messages.map(stopped));
    if (messages.length === 0) return Promise.resolve([]);
    return new Promise((done) => {
      const deadline = this.#options.context.runtime.monotonic() + this.#options.timeoutMs;
      this.#waiting.push({ messages, outcomes: [], deadline, done });
      this.#schedule();
    });
  }

  /** What waits ends LOVAGE_STOPPED; what is under way ends with the database. */
  stop(): void {
    this.#stopping.abort();
    for (const job of this.#waiting.splice(0)) job.done(job.messages.map(stopped));
  }

  // At the end of this turn of the event loop: what is called in one turn is written together.
  #schedule(): void {
    if (this.#scheduled || this.#lanes >= LANES) return;
    this.#scheduled = true;
    setImmediate(this.#start);
  }

  #startLanes(): void {
    this.#scheduled = false;
    while (this.#lanes < LANES && this.#waiting.length > 0) {
      this.#lanes += 1;
      void this.#lane();
    }
  }

  async #lane(): Promise<void> {
    while (this.#waiting.length > 0) await this.#write(this.#take());
    this.#lanes -= 1;
  }

  #take(): readonly Job[] {
    let messages = 0;
    let jobs = 0;
    for (; jobs < this.#waiting.length && messages < BATCH; jobs += 1)
      messages += this.#waiting[jobs]?.messages.length ?? 0;
    return this.#waiting.splice(0, jobs);
  }

  async #write(jobs: readonly Job[]): Promise<void> {
    const { runtime } = this.#options.context;
    const entries = jobs.flatMap((job) =>
      job.messages.map((message, index): Entry => ({ rowId: runtime.uuid(), ordinal: index, message, job, index })),
    );
    for (const chunk of chunksOf(entries, ({ message }) => sizeOf(message))) await this.#send(numbered(chunk));
    for (const job of jobs) job.done(job.outcomes);
  }

  /** Sends until there is an answer or no time; then each entry has its outcome. A row that cannot be written is found by halving. */
  async #send(entries: readonly Entry[]): Promise<void> {
    let rows = entries;
    for (let attempt = 1; ; attempt += 1) {
      try {
        const known = await this.#run(rows);
        for (const { job, index, message } of rows)
          job.outcomes[index] = known.has(message.queue) ? null : missing(message.queue);
        return;
      } catch (error) {
        const failure = this.#failureOf(error);
        if (failure.code === 'LOVAGE_PUBLISH' && rows.length > 1) {
          const middle = rows.length >> 1;
          await this.#send(numbered(rows.slice(0, middle)));
          await this.#send(numbered(rows.slice(middle)));
          return;
        }
        rows = await this.#afterFailure(rows, { failure, attempt });
        if (rows.length === 0) return;
      }
    }
  }

  async #run(rows: readonly Entry[]): Promise<ReadonlySet<string>> {
    const { database, statements, onPublished } = this.#options;
    const queues = [...new Set(rows.map(({ message }) => message.queue))];
    const found = await this.#inTime(rows, database.run(statements.publish, [...columnsOf(PUBLISHED, rows), queues]));
    const known = new Set(found.map(({ name }) => name ?? ''));
    if (known.size > 0) onPublished([...known]);
    return known;
  }

  /** A statement that is under way for longer than any of its messages is tried has no outcome, like one whose connection was lost. */
  async #inTime<T>(rows: readonly Entry[], running: Promise<T>): Promise<T> {
    const { context, timeoutMs } = this.#options;
    const deadline = rows.reduce((latest, { job }) => Math.max(latest, job.deadline), 0);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      const fail = (): void => reject(unanswered(timeoutMs));
      timer = setTimeout(fail, Math.max(0, deadline - context.runtime.monotonic()));
    });
    try {
      return await Promise.race([running, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** What is to be sent again; the others have their outcome. */
  async #afterFailure(
    rows: readonly Entry[],
    { failure, attempt }: { readonly failure: LovageError; readonly attempt: number },
  ): Promise<readonly Entry[]> {
    const { runtime } = this.#options.context;
    const { signal } = this.#stopping;
    const isFinal = failure.code !== 'LOVAGE_BROKER_UNAVAILABLE';
    if (!isFinal && !signal.aborted)
      await pause(backoffDelay(attempt, BACKOFF, runtime), undefined, { signal }).catch(() => undefined);
    const now = runtime.monotonic();
    // Those that wait behind it have no more time than these.
    const late = this.#waiting.filter(({ deadline }) => deadline <= now);
    if (late.length > 0) this.#waiting = this.#waiting.filter((job) => !late.includes(job));
    for (const job of late) job.done(job.messages.map(() => failure));
    const isOver = (entry: Entry): boolean => isFinal || signal.aborted || entry.job.deadline <= now;
    for (const entry of rows) if (isOver(entry)) entry.job.outcomes[entry.index] = signal.aborted ? stopped() : failure;
    // It may have been written, delivered and removed before the answer was lost.
    return numbered(
      rows.filter((entry) => !isOver(entry)).map((entry) => ({ ...entry, message: marked(entry.message) })),
    );
  }

  #failureOf(error: unknown): LovageError {
    if (!isLovageError(error))
      return new LovageError('LOVAGE_PUBLISH', `the message cannot be written: ${String(error)}`, { cause: error });
    if (error.code === 'LOVAGE_STOPPED' || this.#stopping.signal.aborted) return stopped();
    return error;
  }
}

/** What cannot be told makes no statement larger: it cannot be written either. */
function sizeOf(message: Message): number {
  try {
    return messageSize(message);
  } catch {
    return 0;
  }
}

function numbered(entries: readonly Entry[]): readonly Entry[] {
  return entries.map((entry, ordinal) => ({ ...entry, ordinal }));
}

function marked(message: Message): Message {
  return { ...message, headers: { ...message.headers, republished: true } };
}

function missing(queue: string): LovageError {
  return new LovageError('LOVAGE_UNROUTABLE', `there is no queue '${queue}'`);
}

function unanswered(timeoutMs: number): LovageError {
  return new LovageError(
    'LOVAGE_BROKER_UNAVAILABLE',
    `expected PostgreSQL to take the message within ${timeoutMs} ms (broker.publishTimeout), got no answer: it may or may not have taken it`,
  );
}

function stopped(): LovageError {
  return new LovageError('LOVAGE_STOPPED', 'the transport has been stopped');
}
