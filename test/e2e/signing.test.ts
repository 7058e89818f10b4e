import { generateKeyPairSync, randomBytes } from 'node:crypto';
import path from 'node:path';
import { deadQueueOf } from '@lovage/core';
import { Lovage, type SigningConfig } from 'lovage';
import { Client } from 'pg';
import { eventually } from '../support/eventually.js';
import { type IsolatedBroker, isolatedBroker } from '../support/isolated-broker.js';
import { type IsolatedResults, isolatedResults } from '../support/isolated-results.js';
import { keepSecret } from '../support/keep-secret.js';
import { type WorkerProcess, runLovage, startWorker } from '../support/lovage-process.js';

jest.setTimeout(60_000);

const APP = path.join(__dirname, 'secured', 'app.ts');
const secret = randomBytes(32).toString('hex');
const pairs = { caller: generateKeyPairSync('ed25519'), worker: generateKeyPairSync('ed25519') };
const pem = {
  private: (who: 'caller' | 'worker') => pairs[who].privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  public: (who: 'caller' | 'worker') => pairs[who].publicKey.export({ type: 'spki', format: 'pem' }).toString(),
};

let broker: IsolatedBroker;
let results: IsolatedResults;

beforeAll(async () => {
  keepSecret(secret, ...[pem.private('caller'), pem.private('worker')].map((key) => key.split('\n')[1] as string));
  [broker, results] = await Promise.all([isolatedBroker(), isolatedResults()]);
  expect(await runLovage(['migrate', '-A', APP], { env: { LOVAGE_RESULTS: results.url } })).toMatchObject({ code: 0 });
});
afterAll(async () => {
  await broker?.drop();
  await results?.drop();
});

type Keys = NonNullable<SigningConfig['keys']>;

describe.each<[string, () => string, { readonly worker: Keys; readonly caller: Keys }]>([
  ['RabbitMQ, one secret', () => broker.url, { worker: { shared: secret }, caller: { shared: secret } }],
  [
    'PostgreSQL, a pair of keys each',
    () => results.url,
    {
      worker: { worker: pem.private('worker'), caller: pem.public('caller') },
      caller: { caller: pem.private('caller'), worker: pem.public('worker') },
    },
  ],
])('signed messages on %s', (_name, url, keys) => {
  let worker: WorkerProcess;
  let env: NodeJS.ProcessEnv;
  let app: Lovage;

  beforeAll(async () => {
    env = { LOVAGE_BROKER: url(), LOVAGE_RESULTS: results.url, LOVAGE_SIGNING_KEYS: JSON.stringify(keys.worker) };
    worker = await startWorker(['-A', APP, '--loglevel', 'debug'], { env });
    app = new Lovage({ name: 'caller', broker: url(), results: results.url, signing: { keys: keys.caller } });
  });
  afterAll(async () => {
    await worker?.kill();
    await app?.stop();
  });

  it('run: sent at once, later, and with a transaction', async () => {
    const add = app.task('secured.add');
    const client = new Client({ connectionString: results.url });
    await client.connect();
    await client.query('BEGIN');
    const inTransaction = await add.with({ tx: client }).delay(3, 1);
    await client.query('COMMIT');
    await client.end();
    const calls = [await add.delay(1, 3), await add.with({ countdown: '100ms' }).delay(2, 2), inTransaction];
    expect(await Promise.all(calls.map((call) => call.get({ timeout: '20s' })))).toEqual([4, 4, 4]);
  });

  it('run again: retried by the worker, then by hand', async () => {
    const result = await app.task('secured.stubborn').delay();
    await expect(result.get({ timeout: '20s' })).rejects.toMatchObject({ code: 'LOVAGE_TASK_FAILED' });
    expect(await runLovage(['retry', '-A', APP, result.id], { env })).toMatchObject({ code: 0 });
    await eventually(async () => expect(await result.state()).toBe('SUCCESS'), { timeoutMs: 20_000 });
  });

  it('are refused of whoever has no key, also when they are written to the outbox by hand', async () => {
    await using stranger = new Lovage({ name: 'stranger', broker: url(), results: results.url });
    const calls = [
      await stranger.task('secured.add').delay(1, 1),
      await stranger.task('secured.add').with({ countdown: '10ms' }).delay(1, 1),
    ];
    const refused = (id: string) => worker.log.find(({ event, id: of }) => event === 'message:dead' && of === id);
    for (const { id } of calls) {
      const line = await eventually(() => expect(refused(id)).toBeDefined() ?? refused(id), { timeoutMs: 20_000 });
      expect(line?.message).toContain('it is not signed, and signing.required is true');
    }
    const depths = await (await stranger.connectBroker()).capabilities.inspect?.depths([deadQueueOf('lovage')]);
    expect(depths).toEqual([{ messages: 2, consumers: 0 }]);
    expect(await calls[0]?.state()).toBe('PENDING');
  });
});
