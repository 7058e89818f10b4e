import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import { required } from './isolated-broker.js';

/** A database of the shared PostgreSQL that no other test sees, empty. */
export interface IsolatedResults {
  /** postgres://… of the new database. */
  readonly url: string;
  readonly database: string;
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
  return { url: url.href, database, drop: () => execute(server, `DROP DATABASE IF EXISTS ${database} WITH (FORCE)`) };
}

async function execute(url: string, statement: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
