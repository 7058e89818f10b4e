import { Task } from '@lovage/core';
import { Gated } from '../test/gated-task.js';
import { Rig, messageOf, type RigOptions } from '../test/rig.js';

@Task({ name: 'hourly', rateLimit: '1/h' })
class Hourly {
  run(): string {
    return 'ran';
  }
}

@Task({ name: 'often', rateLimit: '20/s' })
class Often {
  run(): string {
    return 'ran';
  }
}

const rigs: Rig[] = [];

async function started(options: Partial<RigOptions> = {}): Promise<Rig> {
  const rig = new Rig({ tasks: [Hourly, Often, Gated], ...options });
  rigs.push(rig);
  await rig.worker.start();
  return rig;
}

beforeEach(() => {
  Gated.runs = [];
});
afterEach(async () => {
  await Promise.all(rigs.splice(0).map((rig) => rig.stop()));
});

describe('a task with a rate limit', () => {
  it('starts as often as it may, however many wait', async () => {
    const rig = await started();
    const begun = performance.now();
    await rig.publish(...Array.from({ length: 6 }, () => messageOf('often')));
    await rig.seen('task:succeeded', 6);
    expect(performance.now() - begun).toBeGreaterThan(5 * 50 - 20);
    expect(rig.of('task:postponed')).toEqual([]);
  });

  it('goes back to the outbox where its turn is far away, with no retry spent', async () => {
    const rig = await started();
    await rig.publish(...['a', 'b', 'c'].map((id) => messageOf('hourly', { id })));
    const postponed = await rig.seen('task:postponed', 2);
    expect(postponed.map(({ reason, request }) => [reason, request.id])).toEqual([
      ['rate', 'b'],
      ['rate', 'c'],
    ]);
    const [c, b] = await rig.app.results.find({ ids: ['b', 'c'] });
    expect(b).toMatchObject({ state: 'PENDING', retries: 0, attempt: 1 });
    const hours = (Number(c?.scheduledAt) - Number(b?.scheduledAt)) / 3_600_000;
    expect(hours).toBeCloseTo(1, 1);
    await rig.worker.stop();
    await expect(rig.ready()).resolves.toBe(0);
  });

  it('comes back when its turn has come', async () => {
    const rig = await started();
    await rig.publish(messageOf('hourly'), messageOf('hourly'));
    await rig.seen('task:postponed');
    rig.runtime.advance(3_600_000);
    await rig.seen('task:succeeded', 2);
  });

  it('waits without a slot, and goes back to its queue at a stop', async () => {
    // Without an outbox it waits here, however long.
    const rig = await started({ results: null, worker: { concurrency: 1 } });
    await rig.publish(messageOf('hourly'), messageOf('hourly'), messageOf('gated'));
    await Gated.running(1);
    Gated.run(0).gate.resolve(1);
    await rig.seen('task:succeeded', 2);
    await expect(rig.worker.stop()).resolves.toMatchObject({ returned: 1, abandoned: 0 });
    await expect(rig.ready()).resolves.toBe(1);
  });
});
