import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { eventually } from '../support/eventually.js';
import { runNode } from '../support/lovage-process.js';
import { type PageProject, openPage, projectsFolder, writePage } from './how-to-page.js';

const PAGES = [
  'create-a-project',
  'delay-tasks',
  'retry-tasks',
  'enqueue-in-a-transaction',
  'unique-tasks',
  'revoke-tasks',
  'relay',
  'poison-tasks',
  'dead-letters',
  'lost-connections',
  'deploy-on-kubernetes',
  'rate-limit',
  'long-tasks',
  'time-limits',
  'run-several-processes',
  'secure',
  'pools',
  'find-what-blocks',
  'partition-results',
];
const TSC = path.join(__dirname, '..', '..', 'node_modules', 'typescript', 'bin', 'tsc');

/** How each library connects: `db`, which the page's recipe takes, and `close`. */
const RECIPES = {
  knex: `
import knex from 'knex';
const db = knex({ client: 'pg', connection: process.env.DATABASE_URL });
const close = () => db.destroy();`,
  kysely: `
import { Kysely, PostgresDialect } from 'kysely';
import { Pool } from 'pg';
const db = new Kysely({ dialect: new PostgresDialect({ pool: new Pool({ connectionString: process.env.DATABASE_URL }) }) });
const close = () => db.destroy();`,
  drizzle: `
import { Client } from 'pg';
const db = new Client({ connectionString: process.env.DATABASE_URL });
await db.connect();
const close = () => db.end();`,
  typeorm: `
import { DataSource } from 'typeorm';
const db = await new DataSource({ type: 'postgres', url: process.env.DATABASE_URL }).initialize();
const close = () => db.destroy();`,
};

describe('the examples of the how-to pages', () => {
  jest.setTimeout(120_000);
  let projects: ReturnType<typeof projectsFolder>;
  let project: PageProject | undefined;

  beforeAll(() => {
    projects = projectsFolder();
    for (const page of PAGES) writePage(page, projects.folder);
  });

  afterEach(async () => {
    await project?.remove();
    project = undefined;
  });

  afterAll(() => projects?.remove());

  async function open(page: string): Promise<PageProject> {
    return (project = await openPage(page, path.join(projects.folder, page)));
  }

  it('are good TypeScript', async () => {
    const { code, stdout } = await runNode([TSC, '-p', projects.folder]);
    expect(stdout).toBe('');
    expect(code).toBe(0);
  });

  it.each(PAGES)('%s.md does what it shows', async (page) => {
    const { database, follow } = await open(page);
    await follow();
    // Whatever it has sent has left the outbox, but for what is due after it.
    const left = 'SELECT task_id FROM lovage.outbox WHERE eta IS NULL OR eta < now()';
    await eventually(async () => expect((await database.query(left)).rows).toEqual([]));
  });

  it.each(Object.entries(RECIPES))(
    'send a task if and only if a transaction of %s commits',
    async (library, connect) => {
      const { database, folder, run } = await open('enqueue-in-a-transaction');
      // Deferred: the second tea is refused by the COMMIT, when its task has been written.
      await database.query('CREATE TABLE orders (sku text UNIQUE DEFERRABLE INITIALLY DEFERRED)');
      writeFileSync(path.join(folder, `${library}.ts`), orderThree(library, connect));
      expect(await run(`npx lovage run ${library}.ts`)).toEqual({ code: 0, output: 'placed\nplaced\n23505\n' });
      const orders = await database.query('SELECT sku FROM orders ORDER BY sku');
      const tasks = await database.query(
        `SELECT args->>0 AS sku FROM lovage.task_results JOIN lovage.outbox ON task_id = task_results.id WHERE state = 'PENDING' ORDER BY sku`,
      );
      expect(orders.rows).toEqual([{ sku: 'milk' }, { sku: 'tea' }]);
      expect(tasks.rows).toEqual(orders.rows);
    },
  );
});

/** Says what became of each order, or the SQLSTATE that it met. */
function orderThree(library: string, connect: string): string {
  return `
import { app } from './app.js';
import { placeOrder } from './with-${library}.js';
${connect}
for (const sku of ['tea', 'milk', 'tea']) {
  const end = placeOrder(db, sku).then(() => 'placed');
  console.log(await end.catch((error) => error.code ?? error.cause?.code ?? error));
}
await close();
await app.stop();`;
}
