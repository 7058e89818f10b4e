import path from 'node:path';
import { Lovage, type LovageError, type LovageOptions } from 'lovage';
import { Client } from 'pg';
import { freePorts } from '../../scripts/services/free-ports.js';
import { eventually } from '../support/eventually.js';
import { runLovage, startWorker } from '../support/lovage-process.js';
import { type Rabbit, privateBroker } from '../support/private-broker.js';
import { type Postgres, privateResults } from '../support/private-results.js';
import { type Certificate, ThrowAwayCa } from '../support/throw-away-ca.js';
import { tlsProxy } from '../support/tls-proxy.js';

jest.setTimeout(120_000);

const APP = path.join(__dirname, 'secured', 'app.ts');
const NAMES = ['DNS:localhost', 'IP:127.0.0.1'];

let ca: ThrowAwayCa;
/** Another authority, which issued nothing that is in use. */
let stranger: ThrowAwayCa;
let good: Certificate;
let broker: Rabbit;
let results: Postgres;
/** The broker where it speaks TLS, and demands it. */
let amqps: string;

beforeAll(async () => {
  [ca, stranger] = [new ThrowAwayCa(), new ThrowAwayCa()];
  good = ca.issue({ names: NAMES });
  const [port] = (await freePorts(1)) as [number];
  const config = [
    `listeners.ssl.1 = 127.0.0.1:${port}`,
    `ssl_options.cacertfile = ${ca.caFile}`,
    `ssl_options.certfile = ${good.certFile}`,
    `ssl_options.keyfile = ${good.keyFile}`,
  ];
  const settings = { ssl: 'on', ssl_cert_file: 'server.crt', ssl_key_file: 'server.key' };
  const files = { 'server.crt': good.cert, 'server.key': good.key };
  [broker, results] = await Promise.all([privateBroker({ config }), privateResults({ settings, files })]);
  const url = new URL(broker.url);
  amqps = `amqps://${url.username}:${url.password}@127.0.0.1:${port}`;
});
afterAll(async () => {
  await Promise.all([broker?.stop(), results?.stop()]);
  ca?.remove();
  stranger?.remove();
});

/** How PostgreSQL's connections of this name are made. */
async function encryptedConnections(name: string): Promise<readonly boolean[]> {
  const client = new Client({ connectionString: results.url });
  await client.connect();
  const { rows } = await client.query<{ readonly ssl: boolean }>(
    'SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = $1',
    [name],
  );
  await client.end();
  return rows.map(({ ssl }) => ssl);
}

async function refusal(options: LovageOptions, connect: 'connectBroker' | 'connectResults'): Promise<LovageError> {
  await using app = new Lovage({ name: 'tls', ...options });
  // However long a first connection is tried: no time mends it.
  return (await app[connect]({ retryForMs: 60_000 }).then(
    () => null,
    (error: unknown) => error,
  )) as LovageError;
}

describe('with the authority that issued the certificates of both servers', () => {
  it('a worker and its callers speak TLS alone', async () => {
    const env = {
      LOVAGE_BROKER: amqps,
      LOVAGE_BROKER_TLS_CA_FILE: ca.caFile,
      LOVAGE_RESULTS: results.url,
      LOVAGE_RESULTS_TLS_CA_FILE: ca.caFile,
    };
    expect(await runLovage(['migrate', '-A', APP], { env })).toMatchObject({ code: 0 });
    const worker = await startWorker(['-A', APP], { env });
    await using app = new Lovage({
      name: 'tls-caller',
      broker: { url: amqps, tls: { caFile: ca.caFile } },
      results: { url: results.url, tls: { caFile: ca.caFile } },
    });
    const { results: backend } = await app.connect();
    expect(await (await app.task('secured.add').delay(1, 2)).get({ timeout: '20s' })).toBe(3);
    await eventually(() => expect(backend?.replyChannel).not.toBeNull());
    for (const name of ['lovage tls-caller', 'lovage tls-caller listen'])
      expect(await encryptedConnections(name)).toContain(true);
    expect(await broker.ctl('list_connections', 'ssl', '--silent')).not.toContain('false');
    expect(await worker.stop()).toBe(0);
  });

  it('PostgreSQL is the broker too', async () => {
    await using app = new Lovage({ name: 'tls-queue', broker: { url: results.url, tls: { caFile: ca.caFile } } });
    await app.connect();
    expect(await encryptedConnections('lovage tls-queue')).not.toContain(false);
  });
});

describe('what is not to be trusted is refused at once, and the error says what to set', () => {
  const amqp = (url: string, tls: object): LovageOptions => ({ broker: { url, tls } });
  const pg = (tls: object): LovageOptions => ({ results: { url: results.url, tls } });
  const expectRefused = (error: LovageError, says: RegExp): void => {
    expect(error).toMatchObject({ code: 'LOVAGE_CONFIG', message: expect.stringMatching(says) as string });
  };

  it('an authority that issued another certificate', async () => {
    const { caFile } = stranger;
    const says = (key: string) => new RegExp(`set ${key}\\.tls\\.caFile to the certificate`);
    expectRefused(await refusal(amqp(amqps, { caFile }), 'connectBroker'), says('broker'));
    expectRefused(await refusal(pg({ caFile }), 'connectResults'), says('results'));
    expectRefused(await refusal({ broker: { url: results.url, tls: { caFile } } }, 'connectBroker'), says('broker'));
  });

  it('the authorities of the system', async () => {
    expectRefused(await refusal({ broker: amqps }, 'connectBroker'), /broker\.tls\.caFile/);
    const url = `${results.url}?sslmode=verify-full`;
    expectRefused(await refusal({ results: url }, 'connectResults'), /results\.tls\.caFile/);
  });

  it('a certificate for another name', async () => {
    const tls = { caFile: ca.caFile, serverName: 'elsewhere.example' };
    expectRefused(await refusal(amqp(amqps, tls), 'connectBroker'), /another name.* broker\.tls\.serverName/);
    expectRefused(await refusal(pg(tls), 'connectResults'), /another name.* results\.tls\.serverName/);
  });

  it('a certificate that has expired', async () => {
    const { caFile } = ca;
    const expired = ca.issue({ names: NAMES, days: -1 });
    const proxy = await tlsProxy(broker.url, expired);
    const url = Object.assign(new URL(amqps), { port: `${proxy.port}` }).href;
    expectRefused(await refusal(amqp(url, { caFile }), 'connectBroker'), /expired: renew it/);
    await proxy.stop();
    results.write({ 'server.crt': expired.cert, 'server.key': expired.key });
    await results.kill();
    await results.start();
    expectRefused(await refusal(pg({ caFile }), 'connectResults'), /expired: renew it/);
    results.write({ 'server.crt': good.cert, 'server.key': good.key });
    await results.kill();
    await results.start();
  });

  it('a port that does not speak TLS', async () => {
    const { port } = new URL(broker.url);
    const url = Object.assign(new URL(amqps), { port }).href;
    expectRefused(await refusal(amqp(url, { caFile: ca.caFile }), 'connectBroker'), /does not speak TLS at that port/);
  });

  it('a file that holds no key, or the key of another certificate', async () => {
    const other = ca.issue({ names: NAMES });
    for (const [keyFile, says] of [
      [ca.caFile, 'holds no private key'],
      [other.keyFile, 'is not the key of'],
    ] as const) {
      const tls = { caFile: ca.caFile, certFile: good.certFile, keyFile };
      expectRefused(await refusal(amqp(amqps, tls), 'connectBroker'), new RegExp(`broker\\.tls\\.keyFile ${says}`));
      expectRefused(await refusal(pg(tls), 'connectResults'), new RegExp(`results\\.tls\\.keyFile ${says}`));
    }
  });
});
