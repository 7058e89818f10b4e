import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import { required } from './isolated-broker.js';

/** A database of the shared PostgreSQL that no other test sees, empty. */
export interface IsolatedResults {
  /** postgres://… of the new database. */
  readonly url: string;
  readonly database: string;
  /** Runs statements in it, one after another, each by itself. */
  sql(...statements: readonly string[]): Promise<void>;
  /** Deletes the database; connections to it are ended by the server. */
  drop(): Promise<void>;
}

/**
 * Makes a database on the server of LOVAGE_RESULTS. A database rather than a schema: it isolates advisory locks and NOTIFY too, and
 * lets tests use the default schema.
 */
export async function isolatedResults(): Promise<IsolatedResults> {
  const server = required('LOVAGE_RESULTS');
  const database = `test_${randomUUID().replaceAll('-', '')}`;
  await execute(server, `CREATE DATABASE ${database}`);
  const url = new URL(server);
  url.pathname = `/${database}`;
  return {
    url: url.href,
    database,
    sql: (...statements) => execute(url.href, ...statements),
    drop: () => execute(server, `DROP DATABASE IF EXISTS ${database} WITH (FORCE)`),
  };
}

async function execute(url: string, ...statements: readonly string[]): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}
