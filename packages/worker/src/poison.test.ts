import { Task, type AppOptions, type Starts } from '@lovage/core';
import { Gated } from '../test/gated-task.js';
import { Rig, messageOf } from '../test/rig.js';
import { WatchedStarts } from '../test/watched-starts.js';
import type { WorkerOptions } from './worker-options.js';

@Task({ name: 'silent', ignoreResult: true })
class Silent {
  run(): void {}
}

@Task({ name: 'hourly', rateLimit: '1/h' })
class Hourly extends Gated {}

const rigs: Rig[] = [];

function rigOf(options: { readonly worker?: WorkerOptions; readonly app?: AppOptions; readonly beside?: Rig } = {}): {
  readonly rig: Rig;
  readonly starts: WatchedStarts;
} {
  const rig = new Rig({ tasks: [Gated, Silent, Hourly], ...options });
  rigs.push(rig);
  const starts = new WatchedStarts(rig.results.capabilities.starts as Starts);
  Object.assign(rig.results.capabilities, { starts });
  return { rig, starts };
}

/** Puts tasks into the queue as if a worker had died that held them. */
async function redeliver(rig: Rig, ...ids: readonly string[]): Promise<void> {
  const transport = await rig.transport();
  await transport.declare([{ name: rig.queue, type: 'quorum', maxPriority: null, declare: true }]);
  await rig.publish(...ids.map((id) => messageOf('gated', { id })));
  await returnAll(rig, ids.length);
}

/** What a worker does that dies: takes so many, and gives them back. */
async function returnAll(rig: Rig, count: number): Promise<void> {
  const transport = await rig.transport();
  let arrived = 0;
  let full: () => void = () => undefined;
  const all = new Promise<void>((resolve) => (full = resolve));
  const consumer = await transport.consume({
    queue: rig.queue,
    prefetch: count,
    onDeliveries: (deliveries) => {
      arrived += deliveries.length;
      if (arrived === count) full();
    },
  });
  await all;
  await consumer.close();
}

async function count(starts: Starts, id: string, times: number): Promise<void> {
  for (let time = 0; time < times; time += 1) await starts.begin([{ id, attempt: 0 }]);
}

async function unended(starts: Starts, ...ids: readonly string[]): Promise<readonly number[]> {
  return starts.unended(ids.map((id) => ({ id, attempt: 0 })));
}

async function stateOf(rig: Rig, id: string) {
  return (await rig.results.find({ ids: [id] }))[0];
}

beforeEach(() => {
  Gated.runs = [];
});
afterEach(async () => {
  Gated.release();
  await Promise.all(rigs.splice(0).map((rig) => rig.stop()));
});

describe('starts', () => {
  it('of what is delivered for the first time are no concern of the database', async () => {
    const { rig, starts } = rigOf();
    await rig.worker.start();
    await rig.publish(messageOf('gated'), messageOf('gated', { republished: true }));
    await Gated.running(2);
    for (const { gate } of Gated.runs) gate.resolve(null);
    await rig.seen('task:succeeded', 2);
    await rig.worker.stop();
    expect(starts.calls).toEqual([]);
  });

  it('of what was delivered before are counted together before they run, and forgotten once they have ended', async () => {
    const { rig, starts } = rigOf();
    await redeliver(rig, 'a', 'b');
    await rig.worker.start();
    await Gated.running(2);
    expect(await unended(starts, 'a', 'b')).toEqual([1, 1]);
    for (const { gate } of Gated.runs) gate.resolve(null);
    await rig.seen('task:succeeded', 2);
    await rig.worker.stop();
    expect(starts.calls).toEqual(['begin a b', 'end a b']);
    expect(await unended(starts, 'a', 'b')).toEqual([0, 0]);
  });

  it('are counted for a copy that was sent again, once some have no end', async () => {
    const { rig, starts } = rigOf();
    await count(starts, 'parked', 1);
    await rig.worker.start();
    await rig.publish(messageOf('gated', { id: 'parked', republished: true }));
    await Gated.running(1);
    expect(await unended(starts, 'parked')).toEqual([2]);
  });

  it('are counted where it was put off for its rate limit, and looks like one that was never delivered', async () => {
    const { rig, starts } = rigOf();
    await rig.worker.start();
    await rig.publish(messageOf('hourly', { id: 'first' }));
    await Gated.running(1);
    await rig.publish(messageOf('hourly', { id: 'late', republished: true }));
    await rig.seen('task:postponed');
    rig.runtime.advance(2 * 3_600_000);
    await Gated.running(2);
    expect(await starts.unended([{ id: 'late', attempt: 1 }])).toEqual([1]);
    for (const { gate } of Gated.runs) gate.resolve(null);
    await rig.seen('task:succeeded', 2);
    await rig.worker.stop();
    expect(await starts.unended([{ id: 'late', attempt: 1 }])).toEqual([0]);
  });

  it('wait for a database that is away', async () => {
    const { rig, starts } = rigOf();
    await redeliver(rig, 'a');
    starts.failures = 2;
    await rig.worker.start();
    await Gated.running(1);
    expect(starts.calls).toEqual(['begin a', 'begin a', 'begin a']);
    expect(await unended(starts, 'a')).toEqual([1]);
    expect(rig.of('warning')).toMatchObject([
      { message: expect.stringMatching(/^counting starts of tasks failed/) as string },
    ]);
  });

  it('that cannot be forgotten keep no task from its end', async () => {
    const { rig, starts } = rigOf();
    await redeliver(rig, 'a');
    await rig.worker.start();
    await Gated.running(1);
    starts.failures = 1;
    Gated.run(0).gate.resolve(null);
    await rig.seen('task:succeeded');
    await rig.worker.stop();
    expect(await unended(starts, 'a')).toEqual([1]);
  });
});

describe('a task whose worker has died', () => {
  it('ends FAILURE after worker.maxStarts, without being run', async () => {
    const { rig, starts } = rigOf({ app: { worker: { maxStarts: 3 } } });
    await count(starts, 'poison', 3);
    await count(starts, 'other', 2);
    await redeliver(rig, 'poison', 'other');
    await rig.worker.start();
    await Gated.running(1);
    expect(Gated.run(0).id).toBe('other');
    const [failed] = await rig.seen('task:failed');
    expect(failed?.request.id).toBe('poison');
    expect(await stateOf(rig, 'poison')).toMatchObject({
      state: 'FAILURE',
      startedAt: null,
      error: {
        type: 'PoisonError',
        code: 'LOVAGE_POISON',
        message: expect.stringContaining('started 3 times') as string,
      },
    });
    Gated.run(0).gate.resolve(null);
    await rig.worker.stop();
    expect(await unended(starts, 'poison', 'other')).toEqual([0, 0]);
    expect(await rig.ready()).toBe(0);
  });

  it('leaves that record even where nobody wants its result', async () => {
    const { rig, starts } = rigOf();
    await count(starts, 'silent', 5);
    await rig.worker.start();
    await rig.publish(messageOf('silent', { id: 'silent', republished: true }));
    await rig.seen('task:failed');
    expect(await stateOf(rig, 'silent')).toMatchObject({ state: 'FAILURE', error: { code: 'LOVAGE_POISON' } });
  });

  it('is counted anew once it is requeued', async () => {
    const { rig, starts } = rigOf();
    await count(starts, 'poison', 5);
    await redeliver(rig, 'poison');
    await rig.worker.start();
    await rig.seen('task:failed');
    await rig.app.requeue('poison');
    await Gated.running(1);
    Gated.run(0).gate.resolve('mended');
    await rig.seen('task:succeeded');
    expect(await stateOf(rig, 'poison')).toMatchObject({ state: 'SUCCESS', attempt: 1, result: 'mended' });
  });

  it('runs alone from its third start on: after what runs, and before what comes', async () => {
    const { rig, starts } = rigOf({ worker: { concurrency: 10 } });
    await rig.worker.start();
    await rig.publish(messageOf('gated', { id: 'before' }));
    await Gated.running(1);
    await count(starts, 'suspect', 2);
    await count(starts, 'another', 3);
    await rig.publish(
      messageOf('gated', { id: 'suspect', republished: true }),
      messageOf('gated', { id: 'another', republished: true }),
      messageOf('gated', { id: 'marker', republished: true }),
    );
    await rig.seen('task:received', 4);
    // By then all three have been looked up, and nothing has begun.
    await rig.publish(messageOf('gated', { id: 'after' }));
    await rig.seen('task:received', 5);
    expect(Gated.runs.map(({ id }) => id)).toEqual(['before']);
    const order = ['before', 'suspect', 'another'];
    for (const [index, id] of order.entries()) {
      await Gated.running(index + 1);
      expect(Gated.runs.map((run) => run.id)).toEqual(order.slice(0, index + 1));
      expect(rig.worker.running).toBe(1);
      Gated.run(index).gate.resolve(id);
    }
    await Gated.running(5);
    expect(new Set(Gated.runs.slice(3).map(({ id }) => id))).toEqual(new Set(['marker', 'after']));
    expect(rig.of('warning').map(({ message }) => message)).toEqual([
      expect.stringContaining('gated[suspect] was started 2 times'),
      expect.stringContaining('gated[another] was started 3 times'),
    ]);
    for (const { gate } of Gated.runs.slice(3)) gate.resolve(null);
    await rig.seen('task:succeeded', 5);
  });

  it('holds nothing back once it waits no more, though what it waited for goes on', async () => {
    const { rig, starts } = rigOf({ worker: { concurrency: 2 } });
    await rig.worker.start();
    await rig.publish(messageOf('gated', { id: 'long' }));
    await Gated.running(1);
    await count(starts, 'suspect', 2);
    await rig.publish(messageOf('gated', { id: 'suspect', republished: true }));
    await rig.seen('task:received', 2);
    // By the time that this one waits, the suspect has been looked up.
    await rig.publish(messageOf('gated', { id: 'after' }));
    await rig.seen('task:received', 3);
    await rig.app.revoke(['suspect']);
    await rig.seen('task:revoked');
    await Gated.running(2);
    expect(Gated.runs.map(({ id }) => id)).toEqual(['long', 'after']);
    for (const { gate } of Gated.runs) gate.resolve(null);
    await rig.seen('task:succeeded', 2);
  });

  it('holds nothing back once it is handed back before its turn', async () => {
    const { rig, starts } = rigOf({ worker: { concurrency: 2 } });
    await rig.worker.start();
    await rig.publish(messageOf('gated', { id: 'before' }));
    await Gated.running(1);
    await count(starts, 'suspect', 2);
    await rig.publish(messageOf('gated', { id: 'suspect', republished: true }));
    await rig.seen('task:received', 2);
    const stopped = rig.worker.stop();
    await rig.seen('worker:stopping');
    Gated.run(0).gate.resolve(null);
    expect(await stopped).toMatchObject({ finished: 1, returned: 1 });
    expect(Gated.runs).toHaveLength(1);
    expect(await unended(starts, 'suspect')).toEqual([2]);
    expect(await rig.ready()).toBe(1);
  });
});

describe('a task that is handed back', () => {
  it('at ten stops of its worker is no poison', async () => {
    const { rig: first, starts } = rigOf();
    await redeliver(first, 'long');
    for (let restart = 0; restart < 10; restart += 1) {
      const { rig } = rigOf({ beside: first, worker: { shutdownTimeout: 0 } });
      await rig.worker.start();
      await Gated.running(restart + 1);
      const { gate, signal } = Gated.run(restart);
      signal().addEventListener('abort', () => gate.reject(new Error('interrupted')));
      expect(await unended(starts, 'long')).toEqual([1]);
      expect(await rig.worker.stop()).toMatchObject({ abandoned: 1 });
      expect(await unended(starts, 'long')).toEqual([0]);
    }
    await first.worker.start();
    await Gated.running(11);
    Gated.run(10).gate.resolve('at last');
    await first.seen('task:succeeded');
    expect(await stateOf(first, 'long')).toMatchObject({ state: 'SUCCESS', result: 'at last' });
  });

  it('because it does not hear of a stop has its start taken back', async () => {
    const { rig, starts } = rigOf({ worker: { shutdownTimeout: 0 } });
    await redeliver(rig, 'long');
    await rig.worker.start();
    await Gated.running(1);
    expect(await rig.worker.stop()).toMatchObject({ abandoned: 1 });
    expect(await unended(starts, 'long')).toEqual([0]);
  });

  it('while its start is being counted is not run, and its start is taken back', async () => {
    const { rig, starts } = rigOf();
    await redeliver(rig, 'a');
    starts.hold();
    await rig.worker.start();
    await starts.called('begin a');
    const stopped = rig.worker.stop();
    await rig.seen('worker:stopping');
    // It goes back at the stop's second step, and the slot is free once it is counted.
    while ((await rig.ready()) !== 1) await new Promise((resolve) => setImmediate(resolve));
    starts.release();
    expect(await stopped).toMatchObject({ returned: 1, abandoned: 0 });
    await starts.called('takeBack a');
    expect(await unended(starts, 'a')).toEqual([0]);
    expect(Gated.runs).toEqual([]);
  });
});
