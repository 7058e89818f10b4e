import { connect } from 'amqplib';
import { Lovage } from 'lovage';
import { Client } from 'pg';
import { eventually } from '../support/eventually.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { type Ended, LovageProcess } from './cli/spawn-lovage.js';
import { APP } from './bad-input/scene.js';
import { type SecretServices, secretServices } from './bad-input/secret-services.js';

jest.setTimeout(60_000);

let services: SecretServices;
/** Stands before the servers, to take them away. */
let broker: TcpProxy;
let results: TcpProxy;
const running = new Set<LovageProcess>();

beforeAll(async () => {
  services = await secretServices();
  [broker, results] = await Promise.all([TcpProxy.start(services.broker), TcpProxy.start(services.results)]);
});
afterEach(async () => {
  await Promise.all([...running].map((command) => command.kill()));
});
afterAll(async () => {
  await Promise.all([broker?.stop(), results?.stop()]);
  await services?.drop();
});

function start(argv: readonly string[], env: NodeJS.ProcessEnv = {}): LovageProcess {
  const command = new LovageProcess([...argv, '-A', APP], { env: { ...services.env, ...env, DEBUG: 'lovage' } });
  running.add(command);
  void command.ended().then(() => running.delete(command));
  return command;
}

/** Runs a command to its end; whatever it says holds no password. */
async function lovage(argv: readonly string[], env?: NodeJS.ProcessEnv): Promise<Ended> {
  const ended = await start(argv, env).ended();
  services.assertKept(ended.stdout + ended.stderr);
  return ended;
}

async function sql(...statements: readonly string[]): Promise<void> {
  const client = new Client({ connectionString: services.results });
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}

describe('a schema that does not fit', () => {
  it('missing: `lovage migrate` mends it', async () => {
    const { code, stderr } = await lovage(['worker']);
    expect(code).toBe(3);
    expect(stderr).toMatch(/lovage migrate.*\(LOVAGE_SCHEMA\)/);
    expect(await lovage(['migrate'])).toMatchObject({ code: 0 });
  });

  it('newer: install a newer lovage', async () => {
    await sql(`INSERT INTO lovage.migrations (name) VALUES ('999_from_tomorrow')`);
    for (const argv of [['worker'], ['migrate'], ['result', 'x']]) {
      const { code, stderr } = await lovage(argv);
      expect({ argv, code }).toEqual({ argv, code: 3 });
      expect(stderr).toMatch(/999_from_tomorrow/);
      expect(stderr).toMatch(/newer.*\(LOVAGE_SCHEMA\)/);
    }
    await sql(`DELETE FROM lovage.migrations WHERE name = '999_from_tomorrow'`);
  });

  it('older: `lovage migrate` mends it', async () => {
    await sql(
      'ALTER TABLE lovage.migrations RENAME TO kept',
      'CREATE TABLE lovage.migrations (LIKE lovage.kept INCLUDING ALL)',
    );
    const { code, stderr } = await lovage(['worker']);
    expect(code).toBe(3);
    expect(stderr).toMatch(/lovage migrate.*\(LOVAGE_SCHEMA\)/);
    await sql('DROP TABLE lovage.migrations', 'ALTER TABLE lovage.kept RENAME TO migrations');
  });
});

describe('a server that is not there', () => {
  it.each([
    ['broker', 'LOVAGE_BROKER', 'LOVAGE_BROKER_UNAVAILABLE', () => broker],
    ['result backend', 'LOVAGE_RESULTS', 'LOVAGE_RESULTS_UNAVAILABLE', () => results],
  ] as const)('%s: one attempt, or as many as there is time for', async (what, key, error, proxy) => {
    await proxy().refuse();
    const env = { [key]: proxy().url, [`${key}_CONNECT_RETRY_FOR`]: '1500ms' };
    const [once, often] = await Promise.all([lovage(['worker', '--no-retry'], env), lovage(['worker'], env)]);
    await proxy().accept();
    for (const { code, stderr } of [once, often]) {
      expect(code).toBe(3);
      expect(stderr).toContain(`(${error})`);
    }
    const attempts = (text: string) => text.split(`Cannot reach the ${what}`).length - 1;
    expect(attempts(often.stderr)).toBeGreaterThanOrEqual(2);
    expect(attempts(often.stderr)).toBeGreaterThan(attempts(once.stderr));
    expect(often.elapsedMs).toBeGreaterThan(1_000);
  });

  it.each([
    ['broker', 'LOVAGE_BROKER', () => broker],
    ['database', 'LOVAGE_RESULTS', () => results],
  ] as const)('Ctrl-C while the %s says nothing ends the start at once', async (_what, key, proxy) => {
    proxy().holdAnswers();
    const worker = start(['worker'], { [key]: proxy().url });
    await worker.says('concurrency');
    await eventually(() => expect(proxy().connections).toBeGreaterThan(0));
    const signalledAt = Date.now();
    worker.signal('SIGINT');
    const { code, stderr } = await worker.ended();
    expect(code).toBe(0);
    expect(Date.now() - signalledAt).toBeLessThan(2_000);
    services.assertKept(stderr);
    proxy().cut();
  });
});

describe('a password that is wrong', () => {
  it.each([
    ['worker', 'LOVAGE_BROKER', ['worker']],
    ['call', 'LOVAGE_BROKER', ['call', 'bad.vitals']],
    ['worker', 'LOVAGE_RESULTS', ['worker']],
    ['result', 'LOVAGE_RESULTS', ['result', 'x']],
  ] as const)('of a %s (%s) is not tried again', async (_what, key, argv) => {
    const url = new URL(services.env[key] ?? '');
    url.password = 'n0t-it';
    const { code, stderr, elapsedMs } = await lovage(argv, { [key]: url.href });
    expect(code).toBe(3);
    expect(stderr).toContain('(LOVAGE_ACCESS_REFUSED)');
    expect(stderr).not.toContain('n0t-it');
    expect(elapsedMs).toBeLessThan(10_000);
  });
});

describe('a queue that exists with other arguments', () => {
  it('ends a worker, and is an error of a caller', async () => {
    const connection = await connect(services.broker);
    const channel = await connection.createChannel();
    await channel.assertQueue('taken', { durable: true, arguments: { 'x-queue-type': 'classic' } });
    await connection.close();
    const { code, stderr } = await lovage(['worker', '--queues', 'taken']);
    expect(code).toBe(3);
    expect(stderr).toMatch(/queue 'taken'[^]*\(LOVAGE_QUEUE_MISMATCH\)/);
    expect(await lovage(['call', 'bad.vitals', '--queue', 'taken'])).toMatchObject({ code: 3 });
    await using app = new Lovage({ name: 'caller', broker: services.broker });
    await expect(app.task('bad.vitals').with({ queue: 'taken' }).delay()).rejects.toMatchObject({
      code: 'LOVAGE_QUEUE_MISMATCH',
    });
  });
});

describe('what is asked for by a wrong name', () => {
  it.each(['nobody', 'x'.repeat(300), '__proto__', '\u{1d11e}'])('an id without a record: %s', async (id) => {
    const { code, stdout, stderr } = await lovage(['result', id]);
    expect({ code, stdout }).toEqual({ code: 5, stdout: '' });
    expect(stderr).toMatch(/no record/);
    expect(stderr).toMatch(/unknown, or not finished/);
  });

  it('a key that is misspelt is suggested', async () => {
    const { code, stderr } = await lovage(['worker'], { LOVAGE_RESULTS_MAXSIZE: '5' });
    expect(code).toBe(2);
    expect(stderr).toMatch(/LOVAGE_RESULTS_MAXSIZE.*LOVAGE_RESULTS_MAX_SIZE/);
  });
});
