import { deadQueueOf, lostQueueOf } from '@lovage/core';
import { Lovage } from 'lovage';
import { Pool } from 'pg';
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
  readonly db: Pool;
  /** The database that has the table `ledger`. */
  readonly ledger: Pool;

  private constructor(place: Place, parts: Pick<Scene, 'app' | 'db' | 'ledger'>) {
    this.place = place;
    this.app = parts.app;
    this.db = parts.db;
    this.ledger = parts.ledger;
  }

  /** @param ledgerUrl where executions are noted, if that is not to share the fate of the results. */
  static async open(place: Place, ledgerUrl = place.results): Promise<Scene> {
    const { broker, results: url, schema, queue } = place;
    const app = new Lovage({ name: 'caller', broker, results: { url, schema }, defaultQueue: queue });
    await (await app.resultBackend())?.capabilities.schema?.migrate();
    const db = poolOf(url, schema);
    await db.query(TABLES);
    const ledger = ledgerUrl === url ? db : poolOf(ledgerUrl, schema);
    await ledger.query(`CREATE SCHEMA IF NOT EXISTS ${schema}; ${LEDGER}`);
    await (await app.connectBroker()).declare([{ name: queue, type: 'quorum', maxPriority: null, declare: true }]);
    return new Scene(place, { app, db, ledger });
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

  /** From now on PostgreSQL answers that its disk is full, or no longer. */
  async fillDisk(isFull: boolean): Promise<void> {
    for (const table of ['task_results', 'outbox'])
      await this.db.query(
        isFull
          ? `CREATE TRIGGER disk_full BEFORE INSERT OR UPDATE ON ${table} FOR EACH STATEMENT EXECUTE FUNCTION disk_full()`
          : `DROP TRIGGER disk_full ON ${table}`,
      );
  }

  async close(): Promise<void> {
    await this.app.stop();
    for (const pool of new Set([this.db, this.ledger])) {
      await pool.query(`DROP SCHEMA ${this.place.schema} CASCADE`);
      await pool.end();
    }
  }
}

function poolOf(url: string, schema: string): Pool {
  const pool = new Pool({ connectionString: url, max: 2, options: `-c search_path=${schema}` });
  // Its server may be restarted.
  pool.on('error', () => undefined);
  return pool;
}

const LEASED = 'due_at > now() AND (eta IS NULL OR eta <= now())';

/** Each execution, as it begins. */
const LEDGER = `
  CREATE TABLE ledger (n bigint GENERATED ALWAYS AS IDENTITY, task_id text NOT NULL, attempt integer NOT NULL, pid integer NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp());
`;

/** `caused`, `removed`: each row that was ever written to the outbox and taken out of it, of whatever transaction that committed. */
const TABLES = `
  CREATE TABLE caused (task_id text NOT NULL, attempt integer NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp());
  CREATE TABLE removed (task_id text NOT NULL, attempt integer NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp());
  CREATE FUNCTION note_row() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
      told record;
    BEGIN
      IF TG_OP = 'DELETE' THEN told := OLD; ELSE told := NEW; END IF;
      EXECUTE format('INSERT INTO %I.%I VALUES ($1, $2)', TG_TABLE_SCHEMA, TG_ARGV[0])
        USING told.task_id, coalesce(told.headers->>'attempt', told.headers->>'retries')::integer;
      RETURN NULL;
    END
  $$;
  CREATE FUNCTION disk_full() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      RAISE EXCEPTION 'could not extend file "base/1/1": No space left on device' USING ERRCODE = 'disk_full';
    END
  $$;
  CREATE TRIGGER note_cause AFTER INSERT ON outbox FOR EACH ROW EXECUTE FUNCTION note_row('caused');
  CREATE TRIGGER note_removal AFTER DELETE ON outbox FOR EACH ROW EXECUTE FUNCTION note_row('removed');
`;
