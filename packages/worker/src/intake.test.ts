import { MemoryTransport, type ConsumeOptions, type Consumer, type Delivery } from '@lovage/core';
import { deferred } from '../test/deferred.js';
import { messageOf } from '../test/rig.js';
import { Intake } from './intake.js';

/** A broker whose answer to `consume` can be awaited. */
class SlowTransport extends MemoryTransport {
  readonly consuming = deferred();
  readonly answer = deferred();

  override async consume(options: ConsumeOptions): Promise<Consumer> {
    const consumer = await super.consume(options);
    this.consuming.resolve();
    await this.answer.promise;
    return consumer;
  }
}

const spec = { name: 'lovage', type: 'quorum', maxPriority: null, declare: true } as const;
let transports = 0;

describe('an intake', () => {
  it.each(['cancel', 'close'] as const)('that opens after its %s gives back what came', async (end) => {
    const transport = new SlowTransport(`memory://intake-${(transports += 1)}`);
    await transport.declare([spec]);
    await transport.publish([messageOf('any')]);
    const received = deferred<readonly Delivery[]>();
    const intake = new Intake('lovage');
    const opening = intake.open(transport, {
      source: 'lovage',
      prefetch: 10,
      receive: (_, deliveries) => received.resolve(deliveries),
    });
    await transport.consuming.promise;
    await received.promise;
    await intake[end]();
    transport.answer.resolve();
    await opening;
    expect(intake.consuming).toBe(false);
    await expect(transport.capabilities.inspect?.depths(['lovage'])).resolves.toEqual([{ messages: 1, consumers: 0 }]);
  });
});
