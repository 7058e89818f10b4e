import {
  EventBus,
  LovageError,
  MemoryTransport,
  deadQueueOf,
  systemRuntime,
  type Delivery,
  type Message,
  type QueueSpec,
} from '@lovage/core';
import { DeadLetters } from './dead-letters.js';
import { Intake } from './intake.js';
import { Retrier } from './retrier.js';
import { messageOf } from '../test/rig.js';

/** A broker that does not take some messages. */
class PickyTransport extends MemoryTransport {
  readonly refused = new Set<unknown>();
  refusals = 0;
  broken = false;
  /** Somebody deleted the queue; whoever declares it makes it anew. */
  missing = false;

  override async declare(queues: readonly QueueSpec[]): Promise<void> {
    this.missing = false;
    return super.declare(queues);
  }

  override async publish(messages: readonly Message[]): Promise<readonly (LovageError | null)[]> {
    if (this.broken) throw new TypeError('a bug in a transport');
    if (this.missing) return messages.map(() => new LovageError('LOVAGE_UNROUTABLE', 'no such queue'));
    const taken = messages.filter(({ headers }) => !this.refused.has(headers['id']));
    this.refusals += messages.length - taken.length;
    const results = [...(await super.publish(taken))];
    return messages.map(({ headers }) =>
      this.refused.has(headers['id']) ? new LovageError('LOVAGE_PUBLISH', 'refused') : (results.shift() ?? null),
    );
  }
}

const open: MemoryTransport[] = [];
let brokers = 0;

/** A consumed queue of messages, each of which is to be moved. */
async function setUp(ids: readonly string[]) {
  const transport = new PickyTransport(`memory://dead-letters-${(brokers += 1)}`);
  open.push(transport);
  const queueSpec = (name: string): QueueSpec => ({ name, type: 'quorum', maxPriority: null, declare: true });
  await transport.declare([queueSpec('lovage')]);
  const events = new EventBus();
  const closing = new AbortController();
  const retrier = new Retrier({ what: 'moving', events, runtime: systemRuntime, signal: closing.signal });
  const letters = new DeadLetters({ transport, queueSpec, retrier, events, runtime: systemRuntime, worker: 'w' });
  const intake = new Intake('lovage');
  await transport.publish(ids.map((id) => messageOf('any', { id })));
  const deliveries = await new Promise<readonly Delivery[]>((resolve) => {
    void intake.open(transport, { source: 'lovage', prefetch: 10, receive: (_, arrived) => resolve(arrived) });
  });
  const pushAll = () => {
    for (const delivery of deliveries)
      letters.push({ held: { intake, delivery }, id: null, reason: 'r'.repeat(10_000) });
  };
  const moved = async () => (await transport.capabilities.inspect?.depths([deadQueueOf('lovage')]))?.[0]?.messages;
  return { transport, events, letters, intake, closing, pushAll, moved };
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((transport) => transport.stop()));
});

describe('dead letters', () => {
  it('are moved while another one is refused, which is tried again and stays unacknowledged', async () => {
    const { transport, events, letters, intake, closing, pushAll, moved } = await setUp(['bad', 'good', 'fine']);
    transport.refused.add('bad');
    const warned = new Promise((resolve) => events.on('warning', resolve));
    pushAll();
    await warned;
    await expect(moved()).resolves.toBe(2);
    expect(transport.refusals).toBeGreaterThanOrEqual(2);
    closing.abort();
    await letters.idle();
    await intake.close();
    await expect(transport.capabilities.inspect?.depths(['lovage'])).resolves.toMatchObject([{ messages: 1 }]);
  });

  it('get their queue back that was deleted', async () => {
    const { transport, letters, pushAll, moved } = await setUp(['one', 'two']);
    transport.missing = true;
    pushAll();
    await letters.idle();
    await expect(moved()).resolves.toBe(2);
  });

  it('survive a transport that throws', async () => {
    const { transport, events, letters, pushAll, moved } = await setUp(['one', 'two']);
    transport.broken = true;
    const warned = new Promise((resolve) => events.on('warning', resolve));
    pushAll();
    await warned;
    transport.broken = false;
    await letters.idle();
    await expect(moved()).resolves.toBe(2);
  });
});
