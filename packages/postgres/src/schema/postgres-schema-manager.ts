import { LovageError, type SchemaManager, type SchemaStatus } from '@lovage/core';
import { type ClientBase, type QueryConfig, escapeIdentifier } from 'pg';
import type { Database } from '../database/database.js';
import { type Migration, readMigrations } from './migration.js';

/** A database that takes the question and never answers is one that cannot be reached. */
const READ_TIMEOUT_MS = 5_000;

/**
 * Brings the tables to the version of this code. Each file is applied in a transaction of its own that also holds the advisory lock,
 * so that racing migrators take turns, and a pooler in transaction mode does no harm.
 */
export class PostgresSchemaManager implements SchemaManager {
  readonly #database: Database;
  readonly #schema: string;

  constructor(database: Database, schema: string) {
    this.#database = database;
    this.#schema = schema;
  }

  async migrate(): Promise<readonly string[]> {
    const migrations = readMigrations();
    const applied: string[] = [];
    await this.#database.use(async (client) => {
      for (
        let name = await this.#applyNext(client, migrations);
        name !== null;
        name = await this.#applyNext(client, migrations)
      ) {
        applied.push(name);
      }
    });
    return applied;
  }

  async status(): Promise<SchemaStatus> {
    return await this.#database.use((client) => this.#read(client, readMigrations()));
  }

  /** Throws LOVAGE_SCHEMA unless the tables are those of this code. */
  async verify(): Promise<void> {
    const status = await this.status();
    refuseUnknown(status);
    if (status.pending.length === 0) return;
    const found = status.applied.length === 0 ? 'none' : 'older ones';
    throw new LovageError(
      'LOVAGE_SCHEMA',
      `expected schema ${this.#schema} to hold Lovage's tables, got ${found} (${status.pending.join(', ')} missing): run \`lovage migrate -A <app>\``,
    );
  }

  /** Applies the first file that is missing and resolves with its name; null: nothing was. */
  async #applyNext(client: ClientBase, migrations: readonly Migration[]): Promise<string | null> {
    // It takes as long as it takes: another migrator's turn, or a large table.
    await client.query('BEGIN; SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0');
    try {
      await client.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [`lovage.migrate.${this.#schema}`]);
      const status = await this.#read(client, migrations);
      refuseUnknown(status);
      const next = migrations.find(({ name }) => name === status.pending[0]);
      if (next !== undefined) await this.#apply(client, next);
      await client.query('COMMIT');
      return next?.name ?? null;
    } catch (error) {
      // Where this fails too, the connection is broken, and the first error says so.
      await client.query('ROLLBACK').catch(() => undefined);
      throw error;
    }
  }

  async #apply(client: ClientBase, { sql }: Migration): Promise<void> {
    const schema = escapeIdentifier(this.#schema);
    // IF NOT EXISTS asks for the right to create schemas even where it exists.
    const { rowCount } = await client.query('SELECT FROM pg_namespace WHERE nspname = $1', [this.#schema]);
    if (rowCount === 0) await client.query(`CREATE SCHEMA ${schema}`);
    await client.query(`SET LOCAL search_path TO ${schema}`);
    await client.query(sql);
  }

  async #read(client: ClientBase, migrations: readonly Migration[]): Promise<SchemaStatus> {
    const ledger = `${escapeIdentifier(this.#schema)}.migrations`;
    const { rowCount } = await client.query({
      text: 'SELECT WHERE to_regclass($1) IS NOT NULL',
      values: [ledger],
      query_timeout: READ_TIMEOUT_MS,
    } as QueryConfig);
    const { rows } =
      rowCount === 0
        ? { rows: [] }
        : await client.query<{ name: string }>({
            text: `SELECT name FROM ${ledger} ORDER BY name`,
            query_timeout: READ_TIMEOUT_MS,
          } as QueryConfig);
    const applied = rows.map(({ name }) => name);
    const known = migrations.map(({ name }) => name);
    return {
      schema: this.#schema,
      applied,
      pending: known.filter((name) => !applied.includes(name)),
      unknown: applied.filter((name) => !known.includes(name)),
    };
  }
}

function refuseUnknown({ schema, unknown }: SchemaStatus): void {
  if (unknown.length === 0) return;
  throw new LovageError(
    'LOVAGE_SCHEMA',
    `schema ${schema} is newer than this code (${unknown.join(', ')}): upgrade the lovage packages (npm install lovage@latest)`,
  );
}
