import { deadQueueOf, lostQueueOf } from '@lovage/core';
import { Lovage } from 'lovage';
import { Client } from 'pg';
import { type IsolatedBroker, isolatedBroker } from '../support/isolated-broker.js';
import { type IsolatedResults, isolatedResults } from '../support/isolated-results.js';
import type { Broker, Place } from './assignment.js';

/** A virtual host and a database that many runs share, each with a schema and a queue of its own. */
export class Ground {
  readonly broker: IsolatedBroker;
  readonly results: IsolatedResults;
  #runs = 0;

  private constructor(broker: IsolatedBroker, results: IsolatedResults) {
    this.broker = broker;
    this.results = results;
  }

  static async open(): Promise<Ground> {
    const [broker, results] = await Promise.all([isolatedBroker(), isolatedResults()]);
    return new Ground(broker, results);
  }

  async scene(broker: Broker = 'rabbitmq'): Promise<Scene> {
    const name = `run_${++this.#runs}`;
    const results = this.results.url;
    // The queues of PostgreSQL are in the schema of the results, unless told otherwise.
    const url = broker === 'postgres' ? results : this.broker.url;
    return await Scene.open({ broker: url, results, schema: name, queue: name });
  }

  async close(): Promise<void> {
    await Promise.all([this.broker.drop(), this.results.drop()]);
  }
}

/** One run's tables, queue and caller. */
export class Scene {
  readonly place: Place;
  readonly app: Lovage;
  readonly db: Client;

  private constructor(place: Place, parts: Pick<Scene, 'app' | 'db'>) {
    this.place = place;
    this.app = parts.app;
    this.db = parts.db;
  }

  static async open(place: Place): Promise<Scene> {
    const { broker, results: url, schema, queue } = place;
    const app = new Lovage({ name: 'caller', broker, results: { url, schema }, defaultQueue: queue });
    await (await app.resultBackend())?.capabilities.schema?.migrate();
    const db = new Client({ connectionString: url, options: `-c search_path=${schema}` });
    await db.connect();
    await db.query(TABLES);
    await (await app.connectBroker()).declare([{ name: queue, type: 'quorum', maxPriority: null, declare: true }]);
    return new Scene(place, { app, db });
  }

  /** Messages that wait in the queue, in its `.lost` and in its `.dead`. */
  async waiting(): Promise<readonly number[]> {
    const { queue } = this.place;
    const { capabilities } = await this.app.connectBroker();
    const depths = await capabilities.inspect?.depths([queue, lostQueueOf(queue), deadQueueOf(queue)]);
    return depths?.map((depth) => depth?.messages ?? 0) ?? [];
  }

  async count(query: string, values: readonly unknown[] = []): Promise<number> {
    const { rows } = await this.db.query<{ readonly count: number }>(`SELECT count(*)::int AS count ${query}`, [
      ...values,
    ]);
    return rows[0]?.count ?? NaN;
  }

  /**
   * Lets the leases of dead processes be over, instead of waiting 15 s for it (30 s for a delivery of PostgreSQL). Only while none lives that holds one. Resolves with the number of rows that they have left behind.
   */
  async endLeases(): Promise<number> {
    const { rowCount } = await this.db.query(`UPDATE outbox SET due_at = now() WHERE ${LEASED}`);
    return rowCount ?? 0;
  }

  /** Rows of the outbox that somebody holds. */
  leased(): Promise<number> {
    return this.count(`FROM outbox WHERE ${LEASED}`);
  }

  async close(): Promise<void> {
    await this.app.stop();
    await this.db.query(`DROP SCHEMA ${this.place.schema} CASCADE`);
    await this.db.end();
  }
}

const LEASED = 'due_at > now() AND (eta IS NULL OR eta <= now())';

/** `ledger`: each execution. `caused`: each row that was ever written to the outbox, of whatever transaction that committed. */
const TABLES = `
  CREATE TABLE ledger (n bigint GENERATED ALWAYS AS IDENTITY, task_id text NOT NULL, attempt integer NOT NULL, pid integer NOT NULL);
  CREATE TABLE caused (task_id text NOT NULL, attempt integer NOT NULL);
  CREATE FUNCTION note_cause() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      EXECUTE format('INSERT INTO %I.caused VALUES ($1, $2)', TG_TABLE_SCHEMA)
        USING NEW.task_id, coalesce(NEW.headers->>'attempt', NEW.headers->>'retries')::integer;
      RETURN NULL;
    END
  $$;
  CREATE TRIGGER note_cause AFTER INSERT ON outbox FOR EACH ROW EXECUTE FUNCTION note_cause();
`;
