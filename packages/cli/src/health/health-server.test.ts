import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { HealthServer } from './health-server.js';

let reason: string | null = null;
let server: HealthServer;

beforeEach(async () => {
  reason = null;
  server = await HealthServer.start({ notReady: () => reason }, { port: 0, host: '127.0.0.1' });
});

afterEach(() => server.stop());

async function ask(path: string, method = 'GET'): Promise<{ readonly status: number; readonly text: string }> {
  const response = await fetch(`http://127.0.0.1:${server.port}${path}`, { method });
  return { status: response.status, text: await response.text() };
}

it('is live, and ready when nothing speaks against it', async () => {
  expect(await ask('/livez')).toEqual({ status: 200, text: 'ok\n' });
  expect(await ask('/readyz?verbose')).toEqual({ status: 200, text: 'ok\n' });
});

it('says why it is not ready, and is live all the same', async () => {
  reason = 'the worker does not consume';
  expect(await ask('/readyz')).toEqual({ status: 503, text: 'the worker does not consume\n' });
  expect(await ask('/livez')).toEqual({ status: 200, text: 'ok\n' });
});

it('answers HEAD, and takes nothing else', async () => {
  reason = 'closed';
  expect(await ask('/readyz', 'HEAD')).toEqual({ status: 503, text: '' });
  expect(await ask('/readyz', 'POST')).toMatchObject({ status: 405 });
  expect(await ask('/')).toMatchObject({ status: 404 });
});

it('names the port that another process has', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  const start = HealthServer.start({ notReady: () => null }, { port, host: '127.0.0.1' });
  await expect(start).rejects.toMatchObject({
    code: 'LOVAGE_USAGE',
    message: `the health of the worker cannot be served on 127.0.0.1:${port}`,
    cause: { code: 'EADDRINUSE' },
  });
  other.close();
});

it('stops once, whoever is connected', async () => {
  const kept = await fetch(`http://127.0.0.1:${server.port}/livez`);
  await server.stop();
  await server.stop();
  expect(await kept.text()).toBe('ok\n');
});
