import { Lovage, MemoryResultBackend, isLovageError } from '@lovage/core';
import { deferred } from '../../test/deferred.js';
import { FragileResults } from '../../test/fragile-results.js';
import { FragileTransport } from '../../test/fragile-transport.js';
import { Relay } from './relay.js';

let brokers = 0;
let broker: FragileTransport;
let results: FragileResults;
let app: Lovage;

beforeEach(() => {
  broker = new FragileTransport(`memory://lone-relay-${(brokers += 1)}`);
  results = new FragileResults();
  app = new Lovage({ name: 'lone', broker, results });
});
afterEach(() => app.stop());

describe('a relay of its own', () => {
  it('says what it is, and sends what the app wrote to its outbox', async () => {
    await using relay = new Relay(app);
    const info = await relay.start();
    expect(info).toEqual({
      name: expect.stringMatching(/^lone@.+:\d+$/) as string,
      app: 'lone',
      broker: '(a transport of the app’s own)',
      results: '(a backend of the app’s own)',
    });
    await expect(relay.start()).resolves.toBe(info);
    await app.task('python.add').with({ countdown: 10 }).delay(1, 2);
    await broker.until(() => broker.taken.length === 1);
    expect(broker.taken).toMatchObject([{ queue: 'lovage', headers: { task: 'python.add' } }]);
  });

  it('stops once, before a start too', async () => {
    const relay = new Relay(app);
    await relay.start();
    await relay.stop();
    await relay.stop();
    expect(results.outbox.watching).toBe(0);
    const never = new Relay(app);
    await never.stop();
    await expect(never.start()).rejects.toMatchObject({ code: 'LOVAGE_STOPPED' });
  });

  it('stops during its start', async () => {
    const claiming = deferred();
    results.outbox.before = () => {
      claiming.resolve();
      return new Promise(() => undefined);
    };
    const relay = new Relay(app);
    const starting = relay.start().catch((error: unknown) => error);
    await claiming.promise;
    await relay.stop();
    expect(isLovageError(await starting, 'LOVAGE_STOPPED')).toBe(true);
  });

  it.each([
    ['LOVAGE_RESULTS_NOT_CONFIGURED', null],
    ['LOVAGE_DRIVER', Object.assign(new MemoryResultBackend({ expiresMs: 1_000 }), { capabilities: {} })],
  ])('is refused without an outbox: %s', async (code, backend) => {
    const without = new Lovage({ name: 'lone', broker, results: backend });
    await expect(new Relay(without).start()).rejects.toMatchObject({ code });
    await without.stop();
  });
});
