import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { isLovageError } from '@lovage/core';
import { isolatedBroker } from '../../../../test/support/isolated-broker.js';
import type { IsolatedBroker } from '../../../../test/support/isolated-broker.js';
import { TcpProxy } from '../../../../test/support/tcp-proxy.js';
import { client, message, queueSpec } from '../../test/support.js';
import { CONNECTION_TRANSITIONS, nextState } from './connection-state.js';

jest.setTimeout(30_000);

let broker: IsolatedBroker;
beforeAll(async () => (broker = await isolatedBroker()));
afterAll(() => broker.drop());

const errorOf = (promise: Promise<unknown>) =>
  promise.then(
    () => null,
    (error: unknown) => error as Error,
  );

/** The broker's URL with parts replaced. */
function altered(parts: {
  readonly password?: string;
  readonly username?: string;
  readonly pathname?: string;
}): string {
  return Object.assign(new URL(broker.url), parts).href;
}

test.each([
  ['password', { password: 'wr%C3%B6ng-secret' }, /user 'guest'/],
  ['user', { username: 'nobody', password: 'wr%C3%B6ng-secret' }, /user 'nobody'/],
  ['virtual host', { pathname: '/nowhere' }, /virtual host 'nowhere'/],
])('a wrong %s is refused at once, however long a first connection may be tried', async (_, parts, says) => {
  const { transport, events } = client(altered(parts));
  const retries: unknown[] = [];
  events.on('connection:retry', (event) => retries.push(event));
  const error = await errorOf(transport.start({ retryForMs: 3_600_000 }));
  expect(isLovageError(error, 'LOVAGE_ACCESS_REFUSED')).toBe(true);
  expect(error?.message).toMatch(says);
  expect(error?.message).toContain(new URL(broker.url).host);
  expect(error?.message).not.toMatch(/secret/);
  expect(retries).toEqual([]);
  await transport.stop();
});

test('without a broker one attempt is made, and another start may succeed', async () => {
  const proxy = await TcpProxy.start(broker.url);
  await proxy.refuse();
  const { transport } = client(proxy.url);
  const error = await errorOf(transport.start({ retryForMs: 0 }));
  expect(isLovageError(error, 'LOVAGE_BROKER_UNAVAILABLE')).toBe(true);
  expect(error?.message).toContain('ECONNREFUSED');
  expect(error?.message).not.toContain(`guest:${new URL(broker.url).password}`);
  await proxy.accept();
  await transport.start({ retryForMs: 0 });
  await transport.stop();
  await proxy.stop();
});

test('a broker that comes later is found, with visible progress', async () => {
  const proxy = await TcpProxy.start(broker.url);
  await proxy.refuse();
  const { transport, next } = client(proxy.url);
  const retry = next('connection:retry');
  const opened = next('connection:open');
  const started = transport.start({ retryForMs: 20_000 });
  expect(await retry).toMatchObject({
    target: 'broker',
    attempt: 1,
    url: expect.stringContaining('guest:***@') as string,
  });
  await proxy.accept();
  await started;
  expect((await opened).url).not.toContain(`guest:${new URL(broker.url).password}`);
  await transport.stop();
  await proxy.stop();
});

test('the next host takes over', async () => {
  const [one, two] = [await TcpProxy.start(broker.url), await TcpProxy.start(broker.url)];
  await one.refuse();
  const { transport, next } = client([one.url, two.url]);
  const first = next('connection:open');
  await transport.start({ retryForMs: 0 }); // one round over all hosts
  expect((await first).url).toContain(new URL(two.url).host);
  const spec = queueSpec();
  await transport.declare([spec]);

  await one.accept();
  const second = next('connection:open');
  const publishing = two.refuse().then(() => transport.publish([message(spec.name)]));
  expect((await second).url).toContain(new URL(one.url).host);
  expect(await publishing).toEqual([null]);
  await transport.stop();
  await Promise.all([one.stop(), two.stop()]);
});

test('a server that never answers is given up after the connect timeout, and left at once on stop', async () => {
  const silent = createServer();
  silent.listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const url = `amqp://127.0.0.1:${(silent.address() as AddressInfo).port}`;

  const impatient = client(url, { connectTimeoutMs: 100 });
  const error = await errorOf(impatient.transport.start({ retryForMs: 0 }));
  expect(isLovageError(error, 'LOVAGE_BROKER_UNAVAILABLE')).toBe(true);

  const { transport } = client(url, { connectTimeoutMs: 3_600_000 });
  const connected = once(silent, 'connection');
  const starting = errorOf(transport.start({ retryForMs: 3_600_000 }));
  await connected;
  await transport.stop();
  expect(isLovageError(await starting, 'LOVAGE_STOPPED')).toBe(true);
  silent.close();
});

test('stop ends a wait for the next attempt, and what waits for a connection', async () => {
  const proxy = await TcpProxy.start(broker.url);
  const { transport, next } = client(proxy.url);
  await transport.start({ retryForMs: 0 });
  const retry = next('connection:retry');
  await proxy.refuse();
  await retry;
  const declaring = errorOf(transport.declare([queueSpec()]));
  const publishing = transport.publish([message('q')]);
  await transport.stop();
  expect(isLovageError(await declaring, 'LOVAGE_STOPPED')).toBe(true);
  expect((await publishing).every((outcome) => isLovageError(outcome, 'LOVAGE_STOPPED'))).toBe(true);
});

test('what needs a connection waits for one, and no longer than a publish may take', async () => {
  const proxy = await TcpProxy.start(broker.url);
  const [hasty, patient] = [client(proxy.url, { publishTimeoutMs: 200 }), client(proxy.url)];
  await Promise.all([hasty, patient].map(({ transport }) => transport.start({ retryForMs: 0 })));
  const lost = Promise.all([hasty, patient].map(({ next }) => next('connection:lost')));
  await proxy.refuse();
  await lost;
  const declaring = patient.transport.declare([queueSpec()]);
  const error = await errorOf(hasty.transport.declare([queueSpec()]));
  expect(isLovageError(error, 'LOVAGE_BROKER_UNAVAILABLE')).toBe(true);
  await proxy.accept();
  await declaring;
  await Promise.all([hasty, patient].map(({ transport }) => transport.stop()));
  await proxy.stop();
});

test.each(['redis://host', 'localhost:5672', 'amqp://', ''])('%p is no broker', (url) => {
  expect(() => client(url)).toThrow(expect.objectContaining({ code: 'LOVAGE_CONFIG' }) as Error);
});

test('no URL at all is no broker', () => {
  expect(() => client([])).toThrow(expect.objectContaining({ code: 'LOVAGE_CONFIG' }) as Error);
});

test('every state can be reached and, but for the last, left; only stop ends it', () => {
  const targets = new Set(Object.values(CONNECTION_TRANSITIONS).flatMap((transitions) => Object.values(transitions)));
  for (const state of Object.keys(CONNECTION_TRANSITIONS) as (keyof typeof CONNECTION_TRANSITIONS)[]) {
    expect(targets.has(state)).toBe(true);
    if (state === 'stopped' || state === 'stopping') continue;
    expect(['stopping', 'stopped']).toContain(nextState(state, 'stop'));
  }
  expect(nextState('stopped', 'start')).toBe('stopped');
  expect(nextState('open', 'opened')).toBe('open');
});
