import { LovageError, Task, type Starts } from '@lovage/core';
import { deferred } from '../test/deferred.js';
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

@Task({ name: 'silent', ignoreResult: true })
class Silent extends Gated {}

@Task({ name: 'again', retry: { max: 1, backoff: '1h', jitter: false } })
class Again extends Gated {}

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
  Gated.release();
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

/** What the broker of these tests leaves a delivery, in milliseconds: parked at half of it, at the next look (a thirtieth). */
const TIMEOUT_MS = 6_000;
const LEASE_MS = TIMEOUT_MS / 6;

/** A worker on a broker that wants its deliveries back. The clocks of both, and of the database, are put forward by the test. */
async function impatient(options: Partial<RigOptions> = {}): Promise<Rig> {
  const rig = new Rig({ tasks: [Gated, Silent, Again], ...options });
  rigs.push(rig);
  Object.assign(rig.broker.capabilities, { consumerTimeoutMs: TIMEOUT_MS });
  await rig.worker.start();
  return rig;
}

/** A worker that has parked a task. */
async function parked(task = 'gated', options: Partial<RigOptions> = {}): Promise<Rig> {
  const rig = await impatient(options);
  await rig.publish(messageOf(task, { id: 'long' }));
  await Gated.running(1);
  rig.runtime.advance(TIMEOUT_MS / 2);
  await rig.seen('task:parked');
  return rig;
}

/** The outbox takes no such steps: as if this process were held up, or the database away. */
function refuse(rig: Rig, ...steps: readonly string[]): void {
  rig.results.outbox.before = (step) => {
    if (steps.includes(step)) throw new LovageError('LOVAGE_RESULTS_UNAVAILABLE', 'the database is away');
  };
}

/** Nothing of the task is left: not in the queue, and not in the outbox, whenever it is due. */
async function expectNothingLeft(rig: Rig): Promise<void> {
  await rig.worker.stop();
  await expect(rig.ready()).resolves.toBe(0);
  rig.runtime.advance(3_600_000);
  await expect(rig.results.outbox.claim(10)).resolves.toMatchObject({ messages: [] });
}

const recordOf = (rig: Rig) => rig.app.results.get('long');

describe('a task that runs for longer than the broker waits', () => {
  it('is parked: its delivery is acknowledged, and its row goes with its end', async () => {
    const rig = await parked();
    const { outbox } = rig.results;
    expect(rig.of('task:parked')).toMatchObject([{ request: { id: 'long' } }]);
    expect(outbox.parked).toMatchObject([{ taskId: 'long', message: { headers: { id: 'long', retries: 0 } } }]);
    await outbox.until(() => outbox.renewed.length >= 3);
    Gated.run(0).gate.resolve('done');
    await rig.seen('task:succeeded');
    await expect(recordOf(rig)).resolves.toMatchObject({ state: 'SUCCESS', result: 'done', attempt: 0 });
    expect(outbox.parked).toHaveLength(1);
    await expectNothingLeft(rig);
  });

  it('ends as any other: FAILURE, or with a retry', async () => {
    const rig = await parked('again');
    Gated.run(0).gate.reject(new RangeError('not yet'));
    await rig.seen('task:retried');
    rig.runtime.advance(3_600_000);
    await Gated.running(2);
    rig.runtime.advance(TIMEOUT_MS / 2);
    await rig.seen('task:parked', 2);
    expect(rig.results.outbox.parked[1]).toMatchObject({ message: { headers: { retries: 1 } } });
    Gated.run(1).gate.reject(new RangeError('never'));
    await rig.seen('task:failed');
    await expect(recordOf(rig)).resolves.toMatchObject({ state: 'FAILURE', attempt: 1, retries: 1 });
    await expectNothingLeft(rig);
  });

  it('leaves a record though nobody wants its result, for the copy that may come', async () => {
    const rig = await parked('silent');
    Gated.run(0).gate.resolve(1);
    await rig.seen('task:succeeded');
    await expect(recordOf(rig)).resolves.toMatchObject({ state: 'SUCCESS', result: null });
    await expectNothingLeft(rig);
  });

  it('is given to another worker at a stop, at once', async () => {
    const rig = await parked();
    const other = await impatient({ beside: rig });
    await expect(rig.worker.stop({ now: true })).resolves.toMatchObject({ abandoned: 1 });
    await Gated.running(2);
    Gated.run(0).gate.resolve('too late');
    Gated.run(1).gate.resolve('by the other');
    await other.seen('task:succeeded');
    await expect(recordOf(rig)).resolves.toMatchObject({ result: 'by the other', attempt: 0 });
    await expectNothingLeft(other);
  });

  it('has its start counted, as no redelivery tells of it, and taken back at a stop', async () => {
    const rig = await parked();
    const starts = rig.results.capabilities.starts as Starts;
    const unended = async () => (await starts.unended([{ id: 'long', attempt: 0 }]))[0];
    while ((await unended()) !== 1) await new Promise((resolve) => setImmediate(resolve));
    await expect(rig.worker.stop({ now: true })).resolves.toMatchObject({ abandoned: 1 });
    await expect(unended()).resolves.toBe(0);
  });

  it('may run twice where its worker lives, but did not renew its lease: the first end counts', async () => {
    const rig = await parked('gated', { worker: { prefetch: 1 } });
    await rig.publish(messageOf('gated', { id: 'fills the prefetch' }));
    await Gated.running(2);
    const other = await impatient({ beside: rig });
    refuse(rig, 'renew');
    rig.runtime.advance(LEASE_MS);
    await Gated.running(3);
    expect(rig.broker.taken.at(-1)?.headers).toMatchObject({ id: 'long', republished: true });
    Gated.run(2).gate.resolve('by the other');
    await other.seen('task:succeeded');
    refuse(rig);
    Gated.run(0).gate.resolve('too late');
    await rig.seen('task:duplicate');
    Gated.run(1).gate.resolve(1);
    await rig.seen('task:succeeded');
    await expect(recordOf(rig)).resolves.toMatchObject({ result: 'by the other' });
    await rig.worker.stop();
    await expectNothingLeft(other);
  });

  it('takes over the copy that a relay sent when its lease had ended, and is parked anew', async () => {
    const rig = await parked();
    const { outbox } = rig.results;
    refuse(rig, 'renew');
    rig.runtime.advance(LEASE_MS);
    await rig.seen('task:duplicate');
    refuse(rig);
    rig.runtime.advance(TIMEOUT_MS / 2);
    await rig.seen('task:parked', 2);
    expect(new Set(outbox.parked.map(({ rowId }) => rowId)).size).toBe(2);
    Gated.run(0).gate.resolve('once');
    await rig.seen('task:succeeded');
    expect(Gated.runs).toHaveLength(1);
    await expectNothingLeft(rig);
  });

  it('goes back to its queue, and to no other place, when it holds a copy at a stop', async () => {
    const rig = await parked();
    refuse(rig, 'renew');
    rig.runtime.advance(LEASE_MS);
    await rig.seen('task:duplicate');
    refuse(rig);
    await rig.worker.stop({ now: true });
    await expect(rig.ready()).resolves.toBe(1);
    rig.runtime.advance(3_600_000);
    await expect(rig.results.outbox.claim(10)).resolves.toMatchObject({ messages: [] });
  });

  it('keeps its delivery while the database is away, and is parked afterwards in the row that it was promised', async () => {
    const rig = await impatient();
    const { outbox } = rig.results;
    const rows: string[] = [];
    outbox.parkedBut = (row) => {
      rows.push(row.rowId);
      if (rows.length < 3) throw new LovageError('LOVAGE_RESULTS_UNAVAILABLE', 'the answer was lost');
    };
    await rig.publish(messageOf('gated', { id: 'long' }));
    await Gated.running(1);
    rig.runtime.advance(TIMEOUT_MS / 2);
    await rig.seen('task:parked');
    expect(new Set(rows).size).toBe(1);
    expect(rig.of('warning')).toEqual([]);
    Gated.run(0).gate.resolve(1);
    await rig.seen('task:succeeded');
    await expectNothingLeft(rig);
  });

  it('leaves no row where it ends while that is being written', async () => {
    const rig = await impatient();
    const [reached, go] = [deferred(), deferred()];
    rig.results.outbox.before = (step) => {
      if (step !== 'park') return;
      reached.resolve();
      return go.promise;
    };
    await rig.publish(messageOf('gated', { id: 'long' }));
    await Gated.running(1);
    rig.runtime.advance(TIMEOUT_MS / 2);
    await reached.promise;
    Gated.run(0).gate.resolve(1);
    await rig.seen('task:succeeded');
    go.resolve();
    await rig.results.outbox.until(() => rig.results.outbox.removed.length > 0);
    expect(rig.of('task:parked')).toEqual([]);
    await expectNothingLeft(rig);
  });

  it('does not run again when it was revoked meanwhile, whatever becomes of its row', async () => {
    const rig = await parked();
    const other = await impatient({ beside: rig });
    await expect(rig.app.revoke(['long'])).resolves.toMatchObject([{ id: 'long', state: 'REVOKED' }]);
    await rig.worker.stop({ now: true });
    // As it knows of the revocation, or has read the record.
    await Promise.race([other.seen('task:revoked'), other.seen('task:duplicate')]);
    expect(Gated.runs).toHaveLength(1);
    await expect(recordOf(rig)).resolves.toMatchObject({ state: 'REVOKED' });
    await expectNothingLeft(other);
  });

  it('runs on where its row is gone', async () => {
    const rig = await parked();
    const { outbox } = rig.results;
    await outbox.remove([outbox.parked[0]?.rowId ?? '']);
    const seen = outbox.renewed.length;
    await outbox.until(() => outbox.renewed.slice(seen).some(({ kept }) => kept.length === 0));
    Gated.run(0).gate.resolve('done');
    await rig.seen('task:succeeded');
    await expectNothingLeft(rig);
  });

  it('says so once where there is nowhere to keep it', async () => {
    const rig = await impatient({ tasks: [Gated], results: null });
    await rig.publish(messageOf('gated'), messageOf('gated'));
    await Gated.running(2);
    rig.runtime.advance(TIMEOUT_MS / 2);
    const [{ message } = { message: '' }] = await rig.seen('warning');
    expect(message).toContain('task gated[');
    expect(message).toContain('runs for 3 s already; after 6 s the broker gives it to another worker as well');
    for (const { gate } of Gated.runs) gate.resolve(1);
    await rig.seen('task:succeeded', 2);
    expect(rig.of('warning')).toHaveLength(1);
  });
});

it('says at the start which tasks may run for too long where there is nowhere to keep them', async () => {
  @Task({ name: 'lengthy', timeLimit: TIMEOUT_MS + 1 })
  class Lengthy extends Gated {}
  const rig = await impatient({ tasks: [Gated, Lengthy], results: null });
  expect(rig.of('warning')).toMatchObject([
    {
      message: expect.stringMatching(/^the timeLimit of lengthy is longer than broker.consumerTimeout, 6 s/) as string,
    },
  ]);
});

describe('a delivery that waits too long for a slot', () => {
  it('goes back to its queue, and runs in a worker that is free', async () => {
    const rig = await impatient({ worker: { concurrency: 1, prefetch: 2 } });
    await rig.publish(messageOf('gated', { id: 'runs' }), messageOf('gated', { id: 'waits' }));
    await rig.seen('task:received', 2);
    const other = await impatient({ beside: rig });
    rig.runtime.advance(TIMEOUT_MS / 6);
    const [{ message } = { message: '' }] = await rig.seen('warning');
    expect(message).toContain('1 task(s) waited here for 1 s unstarted and went back to their queues');
    await Promise.race([other.seen('task:started'), rig.seen('task:received', 3)]);
    Gated.run(0).gate.resolve(1);
    await Gated.running(2);
    expect(Gated.runs.map(({ id }) => id)).toEqual(['runs', 'waits']);
    Gated.run(1).gate.resolve(1);
    await Promise.race([rig.seen('task:succeeded', 2), other.seen('task:succeeded')]);
    await expectNothingLeft(rig);
  });
});
