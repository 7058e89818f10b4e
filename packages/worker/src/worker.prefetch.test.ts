import { Task } from '@lovage/core';
import { Gated } from '../test/gated-task.js';
import { Rig, messageOf, type RigOptions } from '../test/rig.js';

@Task({ name: 'quick' })
class Quick {
  run(): string {
    return 'ran';
  }
}

const rigs: Rig[] = [];

async function started(options: Partial<RigOptions> = {}): Promise<Rig> {
  const rig = new Rig({ tasks: [Quick, Gated], worker: { concurrency: 2 }, ...options });
  rigs.push(rig);
  await rig.worker.start();
  return rig;
}

async function publish(rig: Rig, task: string, count: number): Promise<void> {
  await rig.publish(...Array.from({ length: count }, () => messageOf(task)));
}

async function expectReady(rig: Rig, count: number): Promise<void> {
  while ((await rig.ready()) !== count) await turn();
}

async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

beforeEach(() => {
  Gated.runs = [];
  // All that is left to the test: the seconds of the prefetch.
  jest.useFakeTimers({
    doNotFake: [
      ...(['Date', 'hrtime', 'performance', 'nextTick', 'queueMicrotask'] as const),
      ...(['setImmediate', 'clearImmediate', 'setTimeout', 'clearTimeout'] as const),
    ],
  });
});
afterEach(async () => {
  jest.useRealTimers();
  await Promise.all(rigs.splice(0).map((rig) => rig.stop()));
});

describe('a prefetch that adapts', () => {
  it('is two for each slot to begin with', async () => {
    const rig = await started();
    await publish(rig, 'gated', 10);
    await expectReady(rig, 6);
    jest.advanceTimersByTime(10_000);
    await expectReady(rig, 6);
  });

  it('is a second’s worth where tasks are short', async () => {
    const rig = await started();
    await publish(rig, 'quick', 100);
    await rig.seen('task:succeeded', 100);
    await publish(rig, 'gated', 100);
    await expectReady(rig, 100 - 64);
  });

  it('hands back what it holds in excess once tasks take long, to whoever is free', async () => {
    const rig = await started();
    await publish(rig, 'quick', 100);
    await rig.seen('task:succeeded', 100);
    await publish(rig, 'gated', 60);
    await rig.seen('task:received', 160);
    const other = await started({ beside: rig });
    jest.advanceTimersByTime(3_000);
    expect(await rig.ready()).toBe(0);
    jest.advanceTimersByTime(1_000);
    await expectReady(rig, 60 - 4 - 4);
    await other.seen('task:received', 4);
    for (let ended = 0; ended < 60; ended += 1) {
      await Gated.running(ended + 1);
      Gated.run(ended).gate.resolve(ended);
    }
    while (rig.of('task:succeeded').length + other.of('task:succeeded').length < 160) await turn();
    expect(new Set(Gated.runs.map(({ id }) => id)).size).toBe(60);
  });

  it('stays as it is where it is a number', async () => {
    const rig = await started({ worker: { concurrency: 2, prefetch: 3 } });
    await publish(rig, 'quick', 100);
    await rig.seen('task:succeeded', 100);
    await publish(rig, 'gated', 10);
    await expectReady(rig, 7);
    jest.advanceTimersByTime(10_000);
    await expectReady(rig, 7);
  });
});
