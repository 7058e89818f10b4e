import path from 'node:path';
import { eventually } from '../support/eventually.js';
import { type IsolatedBroker, isolatedBroker } from '../support/isolated-broker.js';
import { type IsolatedResults, isolatedResults } from '../support/isolated-results.js';
import { type WorkerProcess, runLovage, startWorker } from '../support/lovage-process.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { LovageProcess } from './cli/spawn-lovage.js';

const QUICKSTART = path.join(__dirname, '../../examples/quickstart');

jest.setTimeout(60_000);

let broker: IsolatedBroker;
let results: IsolatedResults;
let link: TcpProxy;
let worker: WorkerProcess | undefined;

beforeAll(async () => {
  [broker, results] = await Promise.all([isolatedBroker(), isolatedResults()]);
  link = await TcpProxy.start(broker.url);
  expect(await runLovage(['migrate'], options())).toMatchObject({ code: 0 });
});

afterAll(async () => {
  await worker?.kill();
  await link?.stop();
  await broker?.drop();
  await results?.drop();
});

function options() {
  return { cwd: QUICKSTART, env: { LOVAGE_BROKER: link.url, LOVAGE_RESULTS: results.url } };
}

it('tells a probe whether the worker consumes, through an outage of the broker to the end', async () => {
  worker = await startWorker(['--health-port', '0', '--health-host', '127.0.0.1'], options());
  const { port } = worker.log.find(({ event }) => event === 'health:serving') as unknown as { port: number };
  const ask = async (probe: string): Promise<[number, string]> => {
    const response = await fetch(`http://127.0.0.1:${port}${probe}`);
    return [response.status, await response.text()];
  };
  expect(await ask('/livez')).toEqual([200, 'ok\n']);
  expect(await ask('/readyz')).toEqual([200, 'ok\n']);

  await link.refuse();
  await eventually(async () => expect(await ask('/readyz')).toEqual([503, 'the worker does not consume\n']));
  // Nothing that a restart would mend.
  expect(await ask('/livez')).toEqual([200, 'ok\n']);

  await link.accept();
  await eventually(async () => expect(await ask('/readyz')).toEqual([200, 'ok\n']), { timeoutMs: 20_000 });

  expect(await worker.stop()).toBe(0);
  await expect(ask('/livez')).rejects.toThrow('fetch failed');
});

it('is answered while the worker still waits for its broker', async () => {
  await link.refuse();
  const waiting = new LovageProcess(['worker', '--health-port', '0', '--health-host', '127.0.0.1'], options());
  await waiting.says('Serving /livez');
  const port = /Serving \/livez and \/readyz on port (\d+)/.exec(waiting.stderr)?.[1];
  const statusOf = async (probe: string): Promise<number> => (await fetch(`http://localhost:${port}${probe}`)).status;
  expect(await statusOf('/livez')).toBe(200);
  expect(await statusOf('/readyz')).toBe(503);

  await link.accept();
  await eventually(async () => expect(await statusOf('/readyz')).toBe(200), { timeoutMs: 20_000 });
  waiting.signal('SIGTERM');
  expect(await waiting.ended()).toMatchObject({ code: 0 });
});
