import { LovageError } from '@lovage/core';
import type { Message, Runtime } from '@lovage/core';
import type { ChannelModel } from 'amqplib';
import type { ChannelError } from '../channel/watch-channel.js';
import { watchChannel } from '../channel/watch-channel.js';
import { keepChannel } from '../channel/keep-channel.js';
import { stopped } from '../connection/connection-error.js';
import type { OpenConnection } from '../connection/connection-supervisor.js';
import { brokerWords } from '../topology/queue-error.js';
import { hasRoutingHeader } from '../wire/header-codec.js';
import { ConfirmLane } from './confirm-lane.js';
import { PublishBatch } from './publish-batch.js';
import type { PublishOutcome, Sending } from './publish-batch.js';

/** The youngest channel that is given up for a refusal: where a queue is full for long, one a second. */
const GIVE_UP_AFTER_MS = 1_000;
/** How many writes amqplib may hold before nothing more is sent: each has 64 KiB at least where many messages are sent, and one message at least. */
const BUFFERED_CHUNKS = 64;
/** How many messages a batch sends before the next one has its turn: a lone `delay` never waits behind a whole `delayMany`. */
const TURN = 32;

export interface PublisherOptions {
  readonly runtime: Runtime;
  /** How many messages may be unconfirmed at once, all batches together. */
  readonly window: number;
  /** How long a batch waits for a word of the broker about any of its messages. */
  readonly timeoutMs: number;
  /** The broker has no queue of this name. */
  readonly onReturned: (queue: string) => void;
}

/**
 * Sends batches through one confirm channel at a time.
 *
 * A message passes: batch (waits for its turn) → lane (unconfirmed, at most `window`) → settled. When the lane's channel closes, the outcome of what was
 * unconfirmed is unknown: it is sent again on the next one, marked `republished`, before anything new.
 * A channel on which the broker refuses a message is given up for another one: RabbitMQ asks the leader that a channel met first for each quorum queue, and where that was one that had
 * just died it refuses all that this channel sends to the queue, long after there is another leader.
 * Memory is bounded by what callers hold themselves: a batch is its caller's array, and nothing is copied before its turn.
 */
export class Publisher {
  readonly #options: PublisherOptions;
  /** All batches that are not over. */
  readonly #open = new Set<PublishBatch>();
  /** Those with messages not yet sent, in turn. */
  readonly #turns: PublishBatch[] = [];
  #resend: Sending[] = [];
  #lane: ConfirmLane | null = null;
  #blocked = false;
  /** After the broker closed a channel for one of several messages: one at a time, until the culprit is found. */
  #oneByOne = false;
  #stopped = false;
  /** One timer for all batches. */
  #sweeper: NodeJS.Timeout | null = null;

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  /** As `Transport.publish`. */
  publish(messages: readonly Message[]): Promise<readonly PublishOutcome[]> {
    if (this.#stopped) return Promise.resolve(messages.map(stopped));
    if (messages.length === 0) return Promise.resolve([]);
    const batch = new PublishBatch(messages, this.#newDeadline());
    this.#open.add(batch);
    this.#turns.push(batch);
    this.#sweeper ??= setTimeout(() => this.#sweep(), this.#options.timeoutMs).unref();
    this.#pump();
    return batch.done;
  }

  /** Publishes on this connection from now on, for as long as it lives. */
  serve(connection: OpenConnection): void {
    const { runtime } = this.#options;
    void keepChannel({ signal: connection.signal, runtime, session: () => this.#session(connection) });
  }

  /** While the broker takes nothing, nothing is sent: it would fill buffers and wait there all the same. */
  setBlocked(blocked: boolean): void {
    this.#blocked = blocked;
    this.#pump();
  }

  /** Ends all open batches with LOVAGE_STOPPED. */
  stop(): void {
    this.#stopped = true;
    if (this.#sweeper !== null) clearTimeout(this.#sweeper);
    for (const batch of this.#open) batch.fail(stopped);
    this.#open.clear();
    this.#turns.length = 0;
    this.#resend = [];
  }

  async #session({ model }: OpenConnection): Promise<void> {
    while (await this.#useChannel(model));
  }

  /** Resolves when its channel is gone: true, if by our wish. */
  async #useChannel(model: ChannelModel): Promise<boolean> {
    const channel = await model.createConfirmChannel({ highWaterMark: BUFFERED_CHUNKS }).catch(() => null);
    if (channel === null) return false; // the connection went meanwhile
    const { runtime } = this.#options;
    const openedAt = runtime.monotonic();
    let isGivenUp = false;
    return await new Promise<boolean>((closed) => {
      const lane = new ConfirmLane(channel, {
        id: runtime.uuid().slice(-12),
        listener: {
          onSettled: (sending, confirmed) => {
            this.#settle(sending, confirmed);
            if (confirmed || isGivenUp || runtime.monotonic() - openedAt < GIVE_UP_AFTER_MS) return;
            isGivenUp = true;
            this.#lane = null;
            channel.close().catch(() => undefined);
          },
          onRoom: () => this.#pump(),
        },
      });
      watchChannel(channel, (error) => {
        this.#lane = null;
        this.#afterLane(lane, error);
        closed(isGivenUp);
      });
      this.#lane = lane;
      this.#pump();
    });
  }

  /** Sends as much as the window and the buffers allow. */
  #pump(): void {
    const lane = this.#lane;
    if (lane === null || this.#blocked) return;
    if (this.#oneByOne && lane.size === 0 && this.#resend.length === 0) this.#oneByOne = false;
    const window = this.#oneByOne ? 1 : this.#options.window;
    while (lane === this.#lane && !lane.isFull && lane.size < window) {
      const sending = this.#next();
      if (sending === null) return;
      this.#send(lane, sending);
    }
  }

  #next(): Sending | null {
    for (let again = this.#resend.shift(); again !== undefined; again = this.#resend.shift()) {
      if (!again.batch.isOver) return again;
    }
    for (let batch = this.#turns[0]; batch !== undefined; batch = this.#turns[0]) {
      if (batch.isTaken) {
        this.#turns.shift();
        continue;
      }
      const index = batch.take();
      if ((index + 1) % TURN === 0 && this.#turns.length > 1) this.#turns.push(this.#turns.shift() as PublishBatch);
      return { batch, index, again: false, returned: null };
    }
    return null;
  }

  #send(lane: ConfirmLane, sending: Sending): void {
    const message = sending.batch.messages[sending.index] as Message;
    if (hasRoutingHeader(message.headers)) {
      this.#finish(
        sending,
        refused(message, "the headers 'CC' and 'BCC' are instructions to the broker: use other names"),
      );
      return;
    }
    try {
      lane.send(sending, message);
    } catch (error) {
      if ((error as Error).name === 'IllegalOperationError') {
        // The channel is on its way out. Its 'close' may wait for the broker's word: until then nothing is sent on it.
        this.#lane = null;
        this.#resend.push({ ...sending, again: true });
        return;
      }
      this.#finish(sending, refused(message, `it cannot be encoded: ${(error as Error).message}`, error));
    }
  }

  #settle(sending: Sending, confirmed: boolean): void {
    sending.batch.deadline = this.#newDeadline();
    if (confirmed && sending.returned === null) return this.#finish(sending, null);
    const message = sending.batch.messages[sending.index] as Message;
    if (sending.returned !== null) {
      this.#options.onReturned(message.queue);
      return this.#finish(sending, unroutable(message, sending.returned));
    }
    this.#finish(sending, refused(message, 'the broker refused it (the queue is full, or has no leader now)'));
  }

  #finish({ batch, index }: Sending, outcome: PublishOutcome): void {
    batch.settle(index, outcome);
    if (batch.isOver) this.#open.delete(batch);
  }

  /** The channel of `lane` is gone: with `error`, the broker closed it because of something that was sent on it. */
  #afterLane(lane: ConfirmLane, error: ChannelError | null): void {
    const unknown = lane.takeUnconfirmed();
    // 403 is about this user and any message; else the only one that was on its way is to blame.
    if (error !== null && (error.code === 403 || unknown.length === 1)) {
      for (const sending of unknown) {
        const message = sending.batch.messages[sending.index] as Message;
        this.#finish(sending, refused(message, brokerWords(error.message), error));
      }
      return;
    }
    if (error !== null) this.#oneByOne = true;
    const again = unknown.map(({ batch, index }) => ({ batch, index, again: true, returned: null }));
    this.#resend = [...again, ...this.#resend];
  }

  #sweep(): void {
    const { runtime, timeoutMs } = this.#options;
    const now = runtime.monotonic();
    let next = now + timeoutMs;
    for (const batch of this.#open) {
      if (batch.deadline > now) {
        next = Math.min(next, batch.deadline);
        continue;
      }
      batch.fail((message) => timedOut(message, timeoutMs));
      this.#open.delete(batch);
    }
    this.#lane?.dropOver();
    this.#sweeper = this.#open.size === 0 ? null : setTimeout(() => this.#sweep(), next - now).unref();
    this.#pump();
  }

  #newDeadline(): number {
    return this.#options.runtime.monotonic() + this.#options.timeoutMs;
  }
}

function refused(message: Message, reason: string, cause?: unknown): LovageError {
  return new LovageError('LOVAGE_PUBLISH', `a message for the queue '${message.queue}' was not taken: ${reason}`, {
    cause,
  });
}

function unroutable(message: Message, reason: string): LovageError {
  return new LovageError(
    'LOVAGE_UNROUTABLE',
    `there is no queue '${message.queue}' (${reason}): declare it, or start a worker that does`,
  );
}

function timedOut(message: Message, timeoutMs: number): LovageError {
  return new LovageError(
    'LOVAGE_BROKER_UNAVAILABLE',
    `the broker did not confirm a message for the queue '${message.queue}' within ${timeoutMs} ms (broker.publishTimeout). ` +
      'It may have arrived all the same',
  );
}
