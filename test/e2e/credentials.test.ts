import { randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { type Credentials, Lovage, type LovageOptions, Task } from 'lovage';
import { Worker } from '@lovage/worker';
import { eventually } from '../support/eventually.js';
import { type IsolatedBroker, isolatedBroker } from '../support/isolated-broker.js';
import { type IsolatedResults, isolatedResults } from '../support/isolated-results.js';
import { keepSecret } from '../support/keep-secret.js';

jest.setTimeout(60_000);

@Task({ name: 'double' })
class Double {
  run(x: number): number {
    return 2 * x;
  }
}

/** What somebody who keeps credentials gives out, a new user each time they are rotated. */
class Vault {
  readonly #prefix = `user_${randomBytes(6).toString('hex')}`;
  #users: Credentials[] = [];
  asked = 0;

  readonly ask = async (): Promise<Credentials> => {
    this.asked += 1;
    return this.current;
  };

  get current(): Credentials {
    return this.#users.at(-1) as Credentials;
  }

  next(): Credentials {
    const user = {
      username: `${this.#prefix}_${this.#users.length}`,
      password: `p@/${randomBytes(9).toString('hex')}`,
    };
    keepSecret(user.password);
    this.#users.push(user);
    return user;
  }
}

let broker: IsolatedBroker;
let results: IsolatedResults;
const vaults = { broker: new Vault(), results: new Vault() };

beforeAll(async () => {
  [broker, results] = await Promise.all([isolatedBroker(), isolatedResults()]);
  const migrator = new Lovage({ results: results.url });
  await (await migrator.resultBackend())?.capabilities.schema?.migrate();
  await migrator.stop();
  await Promise.all([rotateBroker(), rotateResults()]);
});
afterAll(async () => {
  await broker?.dropUser(vaults.broker.current.username);
  await results?.drop();
  await broker?.drop();
});

/** A new user; the one before is deleted, and his connections with him. */
async function rotateBroker(): Promise<void> {
  const before = vaults.broker.current as Credentials | undefined;
  const { username, password } = vaults.broker.next();
  await broker.addUser(username, password);
  if (before !== undefined) await broker.dropUser(before.username);
}

async function rotateResults(): Promise<void> {
  const before = vaults.results.current as Credentials | undefined;
  const { username, password } = vaults.results.next();
  await results.sql(`CREATE ROLE ${username} LOGIN PASSWORD '${password}' IN ROLE CURRENT_USER`);
  if (before === undefined) return;
  const old = `'${before.username}'`;
  await results.sql(
    `ALTER ROLE ${before.username} NOLOGIN`,
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = ${old}`,
  );
}

/** A URL without credentials. */
function bare(url: string): string {
  return Object.assign(new URL(url), { username: '', password: '' }).href;
}

function appOf(options: LovageOptions): Lovage {
  return new Lovage({ name: 'rotating', ...options }).register(Double);
}

const onRabbitMq = (): LovageOptions => ({
  broker: { url: bare(broker.url), credentials: vaults.broker.ask },
  results: { url: bare(results.url), credentials: vaults.results.ask },
});
/** One URL: what is said of the broker holds for the results. */
const onPostgres = (): LovageOptions => ({ broker: { url: bare(results.url), credentials: vaults.results.ask } });

it.each([
  ['RabbitMQ and PostgreSQL', onRabbitMq],
  ['PostgreSQL alone', onPostgres],
])('users are asked for anew at each connection: %s', async (_name, options) => {
  await using app = appOf(options());
  await using worker = new Worker(app);
  await worker.start();
  const double = app.task(Double);
  expect(await (await double.delay(1)).get({ timeout: '10s' })).toBe(2);
  const asked = { broker: vaults.broker.asked, results: vaults.results.asked };
  await Promise.all([rotateBroker(), rotateResults()]);
  await eventually(async () => expect(await (await double.delay(2)).get({ timeout: '10s' })).toBe(4), {
    timeoutMs: 20_000,
  });
  await eventually(() => expect(worker.consuming).toBe(true), { timeoutMs: 20_000 });
  expect(vaults.results.asked).toBeGreaterThan(asked.results);
  if (options === onRabbitMq) expect(vaults.broker.asked).toBeGreaterThan(asked.broker);
});

describe.each([
  ['broker', 'connectBroker', onRabbitMq],
  ['results', 'connectResults', onRabbitMq],
] as const)('%s.credentials', (key, connect, options) => {
  async function failure(credentials: () => unknown, more: object = {}): Promise<unknown> {
    const given = options();
    const group = { ...(given[key] as object), credentials: credentials as never, ...more };
    await using app = appOf({ ...given, [key]: group });
    return await app[connect]({ retryForMs: 0 }).then(
      () => null,
      (error: unknown) => error,
    );
  }

  it('that throw are an error with their reason, to be tried again', async () => {
    const error = await failure(() => Promise.reject(new Error('the vault is sealed')));
    expect(error).toMatchObject({
      code: `LOVAGE_${key.toUpperCase()}_UNAVAILABLE`,
      message: expect.stringContaining(`${key}.credentials failed: the vault is sealed`) as string,
    });
  });

  it('that never come are an error in time', async () => {
    const error = await failure(() => new Promise(() => undefined), { connectTimeout: '200ms' });
    expect(error).toMatchObject({ message: expect.stringContaining('has not answered within 200 ms') as string });
  });

  it('that are none are a wrong configuration, and are not shown', async () => {
    const error = await failure(() => ({ user: 'a', password: 'hunter2' }));
    expect(error).toMatchObject({
      code: 'LOVAGE_CONFIG',
      message: expect.stringContaining(`${key}.credentials to give { username, password }`) as string,
    });
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('hunter2');
  });

  it('that are refused are named without the password', async () => {
    const error = await failure(() => ({ username: 'nobody', password: 'hunter2' }));
    expect(error).toMatchObject({
      code: 'LOVAGE_ACCESS_REFUSED',
      message: expect.stringContaining('nobody') as string,
    });
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('hunter2');
  });
});
