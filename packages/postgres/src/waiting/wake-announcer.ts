import type { EventSink } from '@lovage/core';
import type { Database } from '../database/database.js';
import { preparedStatement } from '../database/statement.js';
import { isReplyChannel, wakePayloads } from './reply-channel.js';

/** $1 channels, $2 payloads. In a statement of its own: NOTIFY holds a global lock while its transaction commits, which would halve the rate of commits. */
export const NOTIFY = preparedStatement(
  `SELECT pg_notify(channel, payload) FROM unnest($1::text[], $2::text[]) AS wake (channel, payload)`,
);

/** Tells callers that their tasks have ended. One announcement is under way at a time; what ends meanwhile shares the next. */
export class WakeAnnouncer {
  readonly #database: Database;
  readonly #events: EventSink;
  #pending = new Map<string, Set<string>>();
  #announcing = Promise.resolve();
  #busy = false;

  constructor(database: Database, events: EventSink) {
    this.#database = database;
    this.#events = events;
  }

  /** Notes one task whose end is committed; `flush` sends. */
  add(channel: string, id: string): void {
    if (!isReplyChannel(channel)) return;
    const ids = this.#pending.get(channel) ?? new Set();
    this.#pending.set(channel, ids);
    ids.add(id);
  }

  /** Announces what was added. Never rejects: a caller that is not told polls. */
  flush(): Promise<void> {
    if (!this.#busy && this.#pending.size > 0) {
      this.#busy = true;
      this.#announcing = this.#announceAll();
    }
    return this.#announcing;
  }

  async #announceAll(): Promise<void> {
    while (this.#pending.size > 0) {
      const pending = this.#pending;
      this.#pending = new Map();
      const wakes = [...pending].flatMap(([channel, ids]) =>
        wakePayloads(ids).map((payload) => ({ channel, payload })),
      );
      try {
        await this.#database.run(NOTIFY, [wakes.map(({ channel }) => channel), wakes.map(({ payload }) => payload)]);
      } catch (error) {
        this.#events.emit('warning', {
          message: 'callers could not be told that their tasks ended: they find out by polling',
          error: error as Error,
        });
      }
    }
    this.#busy = false;
  }
}
