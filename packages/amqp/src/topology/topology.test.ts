import type { Delivery } from '@lovage/core';
import { deadQueueOf, isLovageError, lostQueueOf } from '@lovage/core';
import { eventually } from '../../../../test/support/eventually.js';
import { isolatedBroker } from '../../../../test/support/isolated-broker.js';
import type { IsolatedBroker } from '../../../../test/support/isolated-broker.js';
import { client, message, observer, queueSpec } from '../../test/support.js';
import type { Client } from '../../test/support.js';

jest.setTimeout(30_000);

let broker: IsolatedBroker;
let eyes: Awaited<ReturnType<typeof observer>>;
let subject: Client;

beforeAll(async () => {
  broker = await isolatedBroker();
  eyes = await observer(broker.url);
});
afterAll(async () => {
  await eyes.model.close();
  await broker.drop();
});
beforeEach(async () => {
  subject = client(broker.url);
  await subject.transport.start({ retryForMs: 5_000 });
});
afterEach(() => subject.transport.stop());

const errorOf = (promise: Promise<unknown>) =>
  promise.then(
    () => null,
    (error: unknown) => error as Error,
  );

test('a mismatch names the queue, has the words of the broker, and says what to do', async () => {
  const spec = queueSpec();
  await eyes.channel.assertQueue(spec.name, { durable: true });
  const error = await errorOf(subject.transport.declare([spec]));
  expect(isLovageError(error, 'LOVAGE_QUEUE_MISMATCH')).toBe(true);
  expect(error?.message).toContain(`'${spec.name}'`);
  expect(error?.message).toContain("inequivalent arg 'x-");
  expect(error?.message).toContain('declare: false');
});

test('a classic queue is what Celery declares', async () => {
  const [plain, ranked] = [queueSpec({ type: 'classic' }), queueSpec({ type: 'classic', maxPriority: 10 })];
  await subject.transport.declare([plain, ranked]);
  // Equal, or the broker would close this channel.
  await eyes.channel.assertQueue(plain.name, { durable: true });
  await eyes.channel.assertQueue(ranked.name, { durable: true, arguments: { 'x-max-priority': 10 } });
});

test('a message that expires in the broker arrives in .lost, with the reason', async () => {
  const spec = queueSpec();
  await subject.transport.declare([spec]);
  eyes.channel.publish('', spec.name, Buffer.from('x'), {
    expiration: '1',
    correlationId: 'late',
    headers: { id: 'late' },
  });
  const lost: Delivery[] = [];
  await subject.transport.consume({
    queue: lostQueueOf(spec.name),
    prefetch: 10,
    onDeliveries: (batch) => void lost.push(...batch),
  });
  await eventually(() => expect(lost).toHaveLength(1));
  expect(lost[0]?.message).toMatchObject({
    queue: lostQueueOf(spec.name),
    correlationId: 'late',
    headers: { id: 'late', 'x-first-death-reason': 'expired', 'x-first-death-queue': spec.name },
  });
});

test.each([
  ['.lost', lostQueueOf],
  ['.dead', deadQueueOf],
])('%s keeps what is handed back more often than any default limit', async (_, companionOf) => {
  const spec = queueSpec();
  await subject.transport.declare([spec]);
  const companion = companionOf(spec.name);
  eyes.channel.sendToQueue(companion, Buffer.from('x'));
  const channel = await eyes.model.createChannel();
  await channel.prefetch(1);
  let deliveries = 0;
  await new Promise<void>((resolve) => {
    void channel.consume(companion, (received) => {
      deliveries += 1;
      if (deliveries < 50) channel.nack(received as NonNullable<typeof received>, false, true);
      else resolve();
    });
  });
  await channel.close();
  await eventually(async () => expect((await eyes.channel.checkQueue(companion)).messageCount).toBe(1));
});

test.each([
  ['empty', ''],
  ['too long for its companions', 'q'.repeat(251)],
])('a queue name that is %s is refused', async (_, name) => {
  expect(isLovageError(await errorOf(subject.transport.declare([queueSpec({ name })])), 'LOVAGE_USAGE')).toBe(true);
});

test("a reserved name is the broker's refusal", async () => {
  const error = await errorOf(subject.transport.declare([queueSpec({ name: 'amq.lovage', type: 'classic' })]));
  expect(isLovageError(error, 'LOVAGE_ACCESS_REFUSED')).toBe(true);
  expect(error?.message).toContain('amq.');
});

test('a queue that is already declared on this connection costs no round trip', async () => {
  const spec = queueSpec();
  await subject.transport.declare([spec]);
  await eyes.channel.deleteQueue(spec.name);
  await subject.transport.declare([spec]);
  expect(await subject.transport.capabilities.inspect?.depths([spec.name])).toEqual([null]);
});

test('a queue that was deleted is declared anew once a publish to it has come back', async () => {
  const spec = queueSpec();
  await subject.transport.declare([spec]);
  await eyes.channel.deleteQueue(spec.name);
  const [returned] = await subject.transport.publish([message(spec.name)]);
  expect(returned?.code).toBe('LOVAGE_UNROUTABLE');
  await subject.transport.declare([spec]);
  expect(await subject.transport.publish([message(spec.name)])).toEqual([null]);
});
