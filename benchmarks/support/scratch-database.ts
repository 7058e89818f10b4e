import pg from 'pg';

export interface ScratchDatabase {
  /** postgres://… of the new database. */
  readonly url: string;
  readonly client: pg.Client;
}

/** Runs `work` on a new database of `server`'s, which is dropped however it ends. Needs a user who may create databases. */
export async function withScratchDatabase(
  server: string,
  work: (database: ScratchDatabase) => Promise<void>,
): Promise<void> {
  const name = `bench_${Date.now().toString(36)}_${process.pid}`;
  await once(server, `create database ${name}`).catch((error: unknown) => {
    if ((error as { code?: unknown }).code !== '42501') throw error;
    throw new Error('expected the user of LOVAGE_RESULTS to be allowed to create databases: alter role … createdb');
  });
  try {
    const url = new URL(server);
    url.pathname = `/${name}`;
    const client = new pg.Client({ connectionString: url.href });
    await client.connect();
    try {
      await work({ url: url.href, client });
    } finally {
      await client.end();
    }
  } finally {
    await once(server, `drop database if exists ${name} with (force)`);
  }
}

async function once(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
