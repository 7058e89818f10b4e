import type { Database } from '../database/database.js';
import { preparedStatement } from '../database/statement.js';

/** $1 channel, $2 queues. In a statement of its own, not waited for until it is on disk: NOTIFY holds a global lock while its transaction commits. */
const NOTIFY = preparedStatement(
  `SELECT set_config('synchronous_commit', 'off', true), pg_notify($1::text, queue) FROM unnest($2::text[]) AS queue`,
);

/** Tells the consumers of all processes that there is something in their queues. What is told while the server is being told goes together. Whoever is not told polls. */
export class WakeChannel {
  readonly #database: Database;
  readonly #channel: string;
  #queues = new Set<string>();
  #telling = false;

  constructor(database: Database, channel: string) {
    this.#database = database;
    this.#channel = channel;
  }

  tell(queues: readonly string[]): void {
    for (const queue of queues) this.#queues.add(queue);
    if (!this.#telling) void this.#tell();
  }

  async #tell(): Promise<void> {
    this.#telling = true;
    while (this.#queues.size > 0) {
      const queues = [...this.#queues];
      this.#queues.clear();
      await this.#database.run(NOTIFY, [this.#channel, queues]).catch(() => undefined);
    }
    this.#telling = false;
  }
}
