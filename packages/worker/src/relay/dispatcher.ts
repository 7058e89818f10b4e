import {
  LovageError,
  isLovageError,
  mainQueueOf,
  publishDeclared,
  type ErrorCode,
  type EventSink,
  type Message,
  type Outbox,
  type OutboxMessage,
  type QueueSpec,
  type Transport,
} from '@lovage/core';

export interface DispatcherOptions {
  readonly outbox: Outbox;
  readonly transport: Transport;
  readonly queueSpec: (queue: string) => QueueSpec;
  readonly events: EventSink;
}

/** What became of rows that were to be published. */
export interface Dispatched {
  /** How many the broker has taken. */
  readonly taken: number;
  /** How many it refused. They stay in the outbox, as do those whose queue is wrong. */
  readonly refused: number;
  /** Those that found no broker: worth another try. */
  readonly away: readonly OutboxMessage[];
}

const AWAY: ReadonlySet<ErrorCode> = new Set(['LOVAGE_BROKER_UNAVAILABLE', 'LOVAGE_STOPPED']);
/** How many rows that have been sent and could not be removed are remembered; the others are sent again, which is harmless. */
const MAX_UNREMOVED = 10_000;

/**
 * Publishes rows of the outbox with confirms and removes those that the broker has taken; never rejects. Each queue by itself: what is wrong with
 * one of them holds up no other. What is not removed comes again once its lease is over.
 */
export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #warned = new Set<string>();
  /** Sent, while the database was away. */
  #unremoved: readonly string[] = [];

  constructor(options: DispatcherOptions) {
    this.#options = options;
  }

  /** @param options.republished true: somebody may have sent these before, so that a worker looks their records up. */
  async dispatch(
    rows: readonly OutboxMessage[],
    { republished }: { readonly republished: boolean },
  ): Promise<Dispatched> {
    const sent: string[] = [];
    const away: OutboxMessage[] = [];
    let refused = 0;
    const publish = async (queue: string, group: readonly OutboxMessage[]): Promise<void> => {
      const errors = await this.#publish(group, republished);
      for (const [index, row] of group.entries()) {
        const error = errors[index] ?? null;
        if (error === null) sent.push(row.rowId);
        else if (AWAY.has(error.code)) away.push(row);
        else {
          if (error.code === 'LOVAGE_PUBLISH') refused += 1;
          this.#warnOnce(`${error.code} ${queue}`, error, `messages for the queue '${queue}' cannot be sent`);
        }
      }
    };
    await Promise.all(byQueue(rows).map(([queue, group]) => publish(queue, group)));
    await this.#remove(sent);
    return { taken: sent.length, refused, away };
  }

  /** Removes what was sent while the database was away. */
  async flush(): Promise<void> {
    await this.#remove([]);
  }

  async #publish(rows: readonly OutboxMessage[], republished: boolean): Promise<readonly (LovageError | null)[]> {
    const { transport, queueSpec } = this.#options;
    const messages = rows.map(({ message }) => (republished ? marked(message) : message));
    try {
      // What was queued in PostgreSQL may lie in a `.dead`, which stands beside its queue wherever that is declared.
      return await publishDeclared(transport, (queue) => queueSpec(mainQueueOf(queue)), messages);
    } catch (error) {
      const cause = isLovageError(error)
        ? error
        : new LovageError('LOVAGE_PUBLISH', `the transport failed: ${String(error)}`, { cause: error });
      return rows.map(() => cause);
    }
  }

  async #remove(sent: readonly string[]): Promise<void> {
    const rowIds = [...this.#unremoved, ...sent];
    if (rowIds.length === 0) return;
    this.#unremoved = [];
    try {
      await this.#options.outbox.remove(rowIds);
    } catch (error) {
      this.#unremoved = [...this.#unremoved, ...rowIds].slice(-MAX_UNREMOVED);
      // A database that is away is announced by its driver.
      if (isLovageError(error, 'LOVAGE_RESULTS_UNAVAILABLE') || isLovageError(error, 'LOVAGE_STOPPED')) return;
      this.#warnOnce('remove', error, 'messages that were sent cannot be removed');
    }
  }

  #warnOnce(key: string, error: unknown, what: string): void {
    if (this.#warned.has(key)) return;
    this.#warned.add(key);
    const cause = error instanceof Error ? error : new Error(String(error));
    this.#options.events.emit('warning', {
      message: `${what}: ${cause.message}. They stay in the outbox, and are tried again every 15 s`,
      error: cause,
    });
  }
}

function byQueue(rows: readonly OutboxMessage[]): readonly (readonly [string, readonly OutboxMessage[]])[] {
  const groups = new Map<string, OutboxMessage[]>();
  for (const row of rows) {
    const { queue } = row.message;
    const group = groups.get(queue);
    if (group === undefined) groups.set(queue, [row]);
    else group.push(row);
  }
  return [...groups];
}

function marked(message: Message): Message {
  return { ...message, headers: { ...message.headers, republished: true } };
}
