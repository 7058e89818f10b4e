import { type ExecFileException, execFile, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SchemaManager } from '@lovage/core';
import { dumpSchema } from '../../test/dump-schema.js';
import { TestSchema, completion, recordWrite } from '../../test/support.js';
import { readMigrations } from './migration.js';

const NAMES = readMigrations().map(({ name }) => name);
const DUMP = join(__dirname, '..', '..', 'schema.sql');

describe('PostgresSchemaManager', () => {
  let schema: TestSchema;

  beforeEach(() => {
    schema = new TestSchema();
  });
  afterEach(() => schema.dispose());

  function manager(): SchemaManager {
    const { schema: found } = schema.backend().capabilities;
    if (found === undefined) throw new TypeError('expected the backend to have a schema manager');
    return found;
  }

  it('applies what is missing, once', async () => {
    const migrations = manager();
    expect(await migrations.status()).toEqual({ schema: schema.name, applied: [], pending: NAMES, unknown: [] });
    expect(await migrations.migrate()).toEqual(NAMES);
    expect(await migrations.migrate()).toEqual([]);
    expect(await migrations.status()).toEqual({ schema: schema.name, applied: NAMES, pending: [], unknown: [] });
  });

  it('lets racing migrators take turns', async () => {
    const applied = await Promise.all(Array.from({ length: 6 }, () => manager().migrate()));
    expect(applied.flat().sort()).toEqual(NAMES);
  });

  it('uses a schema that stands already', async () => {
    await schema.sql(`CREATE SCHEMA ${schema.name}`);
    expect(await manager().migrate()).toEqual(NAMES);
  });

  it('takes a schema name of any kind', async () => {
    const odd = new TestSchema({ name: `a "b".c; -- ${schema.name}` });
    try {
      await odd.migrate();
      const backend = await odd.started();
      expect(await backend.commit([completion(recordWrite())])).toEqual(['applied']);
    } finally {
      await odd.dispose();
    }
  });

  it('refuses to start without tables, saying which command mends it', async () => {
    await expect(schema.started()).rejects.toMatchObject({
      code: 'LOVAGE_SCHEMA',
      message: expect.stringContaining('lovage migrate -A <app>') as string,
    });
  });

  it('refuses to start on older tables, and starts after the migration', async () => {
    await schema.migrate();
    await schema.sql('DELETE FROM migrations WHERE name = $1', [NAMES.at(-1)]);
    const backend = schema.backend();
    await expect(backend.start({ retryForMs: 0 })).rejects.toMatchObject({
      code: 'LOVAGE_SCHEMA',
      message: expect.stringContaining('lovage migrate -A <app>') as string,
    });
    await schema.sql('INSERT INTO migrations (name) VALUES ($1)', [NAMES.at(-1)]);
    await backend.start({ retryForMs: 0 });
  });

  it('refuses to start on, and to migrate, newer tables', async () => {
    await schema.migrate();
    await schema.sql("INSERT INTO migrations (name) VALUES ('999_from_the_future')");
    const newer = {
      code: 'LOVAGE_SCHEMA',
      message: expect.stringMatching(/newer.*999_from_the_future.*npm install lovage@latest/) as string,
    };
    await expect(schema.started()).rejects.toMatchObject(newer);
    await expect(manager().migrate()).rejects.toMatchObject(newer);
    expect(await manager().status()).toMatchObject({ unknown: ['999_from_the_future'], pending: [] });
  });

  it('leaves nothing behind of a file that fails', async () => {
    await schema.sql(`CREATE SCHEMA ${schema.name}`);
    await schema.sql('CREATE TABLE task_results (mine int)');
    await expect(manager().migrate()).rejects.toMatchObject({ code: 'LOVAGE_SCHEMA' });
    expect(await manager().status()).toMatchObject({ applied: [] });
  });

  it('numbers its files without a gap, and each names itself in the ledger', () => {
    expect(NAMES.map((name) => Number(name.slice(0, 3)))).toEqual(NAMES.map((_, index) => index + 1));
    for (const { name, sql } of readMigrations())
      expect(sql).toContain(`INSERT INTO migrations (name) VALUES ('${name}');`);
  });

  it('makes the tables of schema.sql', async () => {
    await schema.migrate();
    const dump = `-- What the migrations make. UPDATE_SCHEMA=1 with this test writes it anew.\n\n${await dumpSchema(schema)}`;
    if (process.env['UPDATE_SCHEMA'] === '1') writeFileSync(DUMP, dump);
    expect(dump).toBe(readFileSync(DUMP, 'utf8'));
  });

  it('has files that run as they are, without the runner', async () => {
    await schema.sql(`CREATE SCHEMA ${schema.name}`);
    for (const { sql } of readMigrations()) await schema.sql(sql);
    expect(await manager().status()).toMatchObject({ applied: NAMES, pending: [] });
  });

  it('has files that a partitioned table takes too, from when there were any on', async () => {
    const first = NAMES.indexOf('005_starts') + 1;
    await schema.sql(`CREATE SCHEMA ${schema.name}`);
    for (const { sql } of readMigrations().slice(0, first)) await schema.sql(sql);
    await schema.backend().capabilities.partitions?.partitionBy('day');
    expect(await manager().migrate()).toEqual(NAMES.slice(first));
    const columns =
      "SELECT attname FROM pg_attribute WHERE attrelid = 'task_results'::regclass AND attnum > 0 ORDER BY attname";
    const plain = new TestSchema();
    try {
      await plain.migrate();
      expect(await schema.sql(columns)).toEqual(await plain.sql(columns));
    } finally {
      await plain.dispose();
    }
  });

  const hasPsql = spawnSync('psql', ['--version']).error === undefined;
  const title = 'has files that run in psql';
  (hasPsql ? it : it.skip)(hasPsql ? title : `${title} (there is no psql here)`, async () => {
    const folder = join(__dirname, '..', '..', 'migrations');
    const files = NAMES.flatMap((name) => ['-f', join(folder, `${name}.sql`)]);
    const setUp = ['-c', `CREATE SCHEMA ${schema.name}`, '-c', `SET search_path TO ${schema.name}`];
    const url = new URL(schema.url);
    // Not among the arguments, which every user of this machine may see.
    const env = { ...process.env, PGPASSWORD: decodeURIComponent(url.password) };
    url.password = '';
    const error = await new Promise<ExecFileException | null>((resolve) => {
      const args = ['-v', 'ON_ERROR_STOP=1', '-1', ...setUp, ...files, url.href];
      execFile('psql', args, { env }, (failed) => resolve(failed));
    });
    expect(error).toBeNull();
    expect(await manager().status()).toMatchObject({ applied: NAMES, pending: [] });
  });
});
