import {
  MemoryTransport,
  type ConsumeOptions,
  type Consumer,
  Task,
  isLovageError,
  lostQueueOf,
  type Message,
} from '@lovage/core';
import { Gated } from '../test/gated-task.js';
import { Rig, messageOf, type RigOptions } from '../test/rig.js';

@Task({ name: 'divide' })
class Divide {
  run(x: number, y: number): number {
    if (y === 0) throw new RangeError('division by zero');
    return x / y;
  }
}

@Task({ name: 'rejects' })
class Rejects {
  async run(): Promise<void> {
    await Promise.resolve();
    throw new TypeError('later');
  }
}

@Task({ name: 'unmakeable' })
class Unmakeable {
  constructor() {
    throw new Error('no such instance');
  }
  run(): void {
    return;
  }
}

@Task({ name: 'hostile' })
class Hostile {
  run(): never {
    throw new Proxy({}, { get: hostile, has: hostile, ownKeys: hostile, getPrototypeOf: hostile });
  }
}

function hostile(): never {
  throw new Error('do not touch');
}

@Task({ name: 'returns' })
class Returns {
  run(what: keyof typeof RESULTS): unknown {
    return RESULTS[what];
  }
}

const cycle: { self?: object } = {};
cycle.self = cycle;
const RESULTS = {
  fine: 'fine',
  cycle,
  function: () => 1,
  nul: 'a\u0000b',
  surrogate: 'a\ud800b',
  huge: 'x'.repeat(2_000_000),
  hostile: new Proxy({}, { get: hostile, ownKeys: hostile }),
};

@Task({ name: 'ignored', ignoreResult: true })
class Ignored {
  run(): number {
    return 1;
  }
}

/** A transport whose consumers can be told that their deliveries are gone. */
class LosingTransport extends MemoryTransport {
  readonly #consumed = new Map<string, ConsumeOptions>();

  override consume(options: ConsumeOptions): Promise<Consumer> {
    this.#consumed.set(options.queue, options);
    return super.consume(options);
  }

  lose(queue: string): void {
    this.#consumed.get(queue)?.onLost?.();
  }
}

const TASKS = [Divide, Rejects, Unmakeable, Hostile, Returns, Gated, Ignored];
let rig: Rig;

async function start(options: Partial<RigOptions> = {}): Promise<Rig> {
  rig = new Rig({ tasks: TASKS, ...options });
  await rig.worker.start();
  return rig;
}

const run = (index: number) => Gated.run(index);

/** The state of a stored record; undefined without one. */
async function stateOf(id: string): Promise<string | undefined> {
  return (await rig.results.find({ ids: [id] }))[0]?.state;
}

/** Nothing is left in the queue: everything was acknowledged, or stop would have handed it back. */
async function expectAllAcknowledged(): Promise<void> {
  await rig.worker.stop();
  await expect(rig.ready()).resolves.toBe(0);
}

beforeEach(() => {
  Gated.runs = [];
});
afterEach(async () => {
  Gated.release();
  await rig.stop();
});

describe('a worker', () => {
  it('says what it is when it is ready', async () => {
    rig = new Rig({ tasks: [Divide], worker: { concurrency: 7 } });
    const info = await rig.worker.start();
    expect(info).toMatchObject({ app: 'rig', queues: ['lovage'], concurrency: 7, prefetch: null, tasks: ['divide'] });
    expect(info.name).toMatch(/^rig@.+:\d+$/);
    expect(rig.of('worker:ready')).toEqual([{ worker: info.name }]);
    expect(rig.worker.consuming).toBe(true);
    await expect(rig.worker.start()).resolves.toBe(info);
  });

  it.each([
    { concurrency: 0 },
    { concurrency: 1.5 },
    { prefetch: 0 },
    { prefetch: 65_536 },
    { shutdownTimeout: '25d' },
    { shutdownTimeout: '25d' },
    { shutdownTimeout: 'soon' },
  ])('refuses %p', async (worker) => {
    rig = new Rig({ tasks: TASKS, worker });
    const error: unknown = await rig.worker.start().catch((thrown: unknown) => thrown);
    expect(isLovageError(error, 'LOVAGE_USAGE')).toBe(true);
  });

  it('stores a result and acknowledges', async () => {
    await start();
    const result = await rig.app.task(Divide).delay(1, 2);
    await expect(result.get()).resolves.toBe(0.5);
    await rig.seen('task:succeeded');
    const [record] = await rig.results.find({ ids: [result.id] });
    expect(record).toMatchObject({
      state: 'SUCCESS',
      args: [1, 2],
      worker: rig.worker.name,
      queue: 'lovage',
      attempt: 0,
    });
    expect(record?.startedAt).not.toBeNull();
    await expectAllAcknowledged();
  });

  it.each([
    [messageOf('divide', {}, [1, 0]), 'RangeError', 'division by zero'],
    [messageOf('rejects'), 'TypeError', 'later'],
    [messageOf('unmakeable'), 'Error', 'no such instance'],
    [messageOf('returns', {}, ['cycle']), 'ResultNotStorableError', 'cycle'],
    [messageOf('returns', {}, ['function']), 'ResultNotStorableError', 'function'],
    [messageOf('returns', {}, ['nul']), 'ResultNotStorableError', ''],
    [messageOf('returns', {}, ['surrogate']), 'ResultNotStorableError', ''],
    [messageOf('returns', {}, ['huge']), 'ResultNotStorableError', ''],
    [messageOf('returns', {}, ['hostile']), 'Error', 'do not touch'],
    [messageOf('hostile'), '', ''],
  ])('ends FAILURE whatever a task does: %#', async (message, type, text) => {
    await start();
    await rig.publish(
      messageOf('divide', { id: 'before' }, [1, 2]),
      message,
      messageOf('divide', { id: 'after' }, [1, 2]),
    );
    const [failed] = await rig.seen('task:failed');
    expect(failed?.error.type).toContain(type);
    expect(failed?.error.message).toContain(text);
    await rig.seen('task:succeeded', 2);
    await expect(stateOf(failed?.request.id ?? '')).resolves.toBe('FAILURE');
    await expectAllAcknowledged();
  });

  it('ends FAILURE when the resolver throws', async () => {
    await start({
      app: {
        resolver: () => {
          throw new Error('the container is broken');
        },
      },
    });
    await rig.publish(messageOf('divide', {}, [1, 2]));
    const [failed] = await rig.seen('task:failed');
    expect(failed?.error.message).toBe('the container is broken');
    await expectAllAcknowledged();
  });

  it('runs at most `concurrency` tasks at once, in order of arrival', async () => {
    await start({ worker: { concurrency: 2 } });
    await rig.publish(...['a', 'b', 'c', 'd'].map((id) => messageOf('gated', { id })));
    await Gated.running(2);
    expect(Gated.runs.map(({ id }) => id)).toEqual(['a', 'b']);
    run(1).gate.resolve(1);
    await Gated.running(3);
    expect(Gated.runs.map(({ id }) => id)).toEqual(['a', 'b', 'c']);
    run(0).gate.resolve(1);
    run(2).gate.resolve(1);
    await Gated.running(4);
    run(3).gate.resolve(1);
    await rig.seen('task:succeeded', 4);
    await expectAllAcknowledged();
  });

  it('stores nothing for a task that ignores its result', async () => {
    await start();
    await rig.publish(messageOf('ignored'), messageOf('divide', { ignoreResult: true }, [1, 2]));
    await rig.seen('task:succeeded', 2);
    expect(rig.results.commits).toEqual([]);
    await expectAllAcknowledged();
  });

  it('works without results', async () => {
    await start({ results: null });
    await rig.publish(messageOf('divide', {}, [1, 2]), messageOf('divide', { republished: true }, [1, 2]));
    await rig.seen('task:succeeded', 2);
    await expectAllAcknowledged();
  });

  it('writes RECEIVED, STARTED and PROGRESS when told to, and nothing after the end', async () => {
    await start({ app: { worker: { trackReceived: true, trackStarted: true } } });
    await rig.publish(messageOf('gated', { id: 'tracked' }));
    await Gated.running(1);
    await rig.results.committing(1);
    expect(rig.results.commits.flat()).toEqual(['tracked STARTED']);
    run(0).context.progress(0.5);
    await rig.results.committing(2);
    await expect(rig.results.find({ ids: ['tracked'] })).resolves.toMatchObject([{ state: 'PROGRESS', progress: 0.5 }]);
    run(0).gate.resolve('done');
    await rig.seen('task:succeeded');
    run(0).context.progress(0.9);
    await rig.publish(messageOf('divide', { id: 'next' }, [1, 2]));
    await rig.seen('task:succeeded', 2);
    expect(rig.results.commits.flat().filter((write) => write.startsWith('tracked'))).toEqual([
      'tracked STARTED',
      'tracked PROGRESS',
      'tracked SUCCESS',
    ]);
  });
});

describe('progress', () => {
  it('is written once a second, the newest last', async () => {
    await start();
    await rig.publish(messageOf('gated', { id: 'busy' }));
    await Gated.running(1);
    const { progress } = run(0).context;
    const begun = performance.now();
    for (const value of [1, 2, 3]) progress(value);
    await rig.results.committing(1);
    await expect(rig.results.find({ ids: ['busy'] })).resolves.toMatchObject([{ state: 'PROGRESS', progress: 1 }]);
    await rig.results.committing(2);
    expect(performance.now() - begun).toBeGreaterThan(950);
    await expect(rig.results.find({ ids: ['busy'] })).resolves.toMatchObject([{ state: 'PROGRESS', progress: 3 }]);
    expect(rig.results.commits).toHaveLength(2);
    run(0).gate.resolve('done');
    await rig.seen('task:succeeded');
  });
});

describe('progress', () => {
  it('is written once a second, the newest last', async () => {
    await start();
    await rig.publish(messageOf('gated', { id: 'busy' }));
    await Gated.running(1);
    const { progress } = run(0).context;
    const begun = performance.now();
    for (const value of [1, 2, 3]) progress(value);
    await rig.results.committing(1);
    await expect(rig.results.find({ ids: ['busy'] })).resolves.toMatchObject([{ state: 'PROGRESS', progress: 1 }]);
    await rig.results.committing(2);
    expect(performance.now() - begun).toBeGreaterThan(950);
    await expect(rig.results.find({ ids: ['busy'] })).resolves.toMatchObject([{ state: 'PROGRESS', progress: 3 }]);
    expect(rig.results.commits).toHaveLength(2);
    run(0).gate.resolve('done');
    await rig.seen('task:succeeded');
  });
});

describe('admission', () => {
  const undecodable: Message = { ...messageOf('divide', { id: 'torn' }), body: Buffer.from('{not json') };

  it.each([
    ['unreadable body', undecodable, /JSON/, 'torn'],
    ['not protocol 2', { ...undecodable, headers: {}, correlationId: null }, /protocol 2/, null],
  ])('moves a message to the dead-letter queue: %s', async (_, message, reason, id) => {
    await start();
    await rig.publish(message);
    const [dead] = await rig.seen('message:dead');
    expect(dead).toMatchObject({
      queue: 'lovage',
      deadQueue: 'lovage.dead',
      id,
      reason: expect.stringMatching(reason) as string,
    });
    const [letter] = await rig.takeDead(1);
    expect(letter?.headers).toMatchObject({
      ...message.headers,
      'x-lovage-reason': expect.stringMatching(reason) as string,
      'x-lovage-queue': 'lovage',
      'x-lovage-worker': rig.worker.name,
      'x-lovage-time': expect.stringMatching(/^\d{4}-/) as string,
    });
    expect(letter?.body).toEqual(message.body);
    expect(rig.results.commits).toEqual([]);
    await expectAllAcknowledged();
  });

  it.each([
    ['unknown task', messageOf('nobody.knows', { id: 'unknown' }), /no task named 'nobody.knows'/],
    ['future eta', messageOf('divide', { id: 'later', eta: new Date(Date.now() + 60_000) }), /eta .* future/],
  ])(
    'moves what could only wait in an outbox to the dead-letter queue where there is none: %s',
    async (_, message, reason) => {
      await start({ results: null });
      await rig.publish(message);
      const [dead] = await rig.seen('message:dead');
      expect(dead?.reason).toMatch(reason);
      await rig.takeDead(1);
      await expectAllAcknowledged();
    },
  );

  it('runs a task whose eta is past', async () => {
    await start();
    await rig.publish(messageOf('divide', { eta: new Date(0) }, [1, 2]));
    await rig.seen('task:succeeded');
  });

  it('revokes what has expired', async () => {
    await start();
    await rig.publish(messageOf('gated', { id: 'late', expires: new Date(Date.now() - 1) }));
    const [revoked] = await rig.seen('task:revoked');
    expect(revoked).toMatchObject({ reason: 'expired' });
    await expect(stateOf('late')).resolves.toBe('REVOKED');
    expect(Gated.runs).toEqual([]);
    await expectAllAcknowledged();
  });

  it('revokes what expires while it waits for a slot', async () => {
    await start({ worker: { concurrency: 1 } });
    const late = messageOf('gated', { id: 'late', expires: new Date(rig.runtime.now() + 60_000) });
    await rig.publish(messageOf('gated', { id: 'first' }), late);
    await Gated.running(1);
    await rig.seen('task:received', 2);
    rig.runtime.advance(60_000);
    run(0).gate.resolve(1);
    await rig.seen('task:revoked');
    await expect(stateOf('late')).resolves.toBe('REVOKED');
    expect(Gated.runs.map(({ id }) => id)).toEqual(['first']);
    await expectAllAcknowledged();
  });

  it.each([
    ['republished', { republished: true }],
    ['of an earlier attempt', { republished: true, attempt: 0 }],
  ])('does not run a copy that is %s of a task that has ended', async (_, envelope) => {
    await start();
    await rig.publish(messageOf('gated', { id: 'twice', attempt: 1, retries: 1 }));
    await Gated.running(1);
    run(0).gate.resolve(1);
    await rig.seen('task:succeeded');
    await rig.publish(messageOf('gated', { id: 'twice', attempt: 1, retries: 1, ...envelope }));
    await rig.seen('task:duplicate');
    expect(Gated.runs).toHaveLength(1);
    await expectAllAcknowledged();
  });

  it('runs a suspicious copy of a task without a final record', async () => {
    await start();
    await rig.publish(messageOf('divide', { republished: true }, [1, 2]));
    await rig.seen('task:succeeded');
  });

  it('waits with a look-up while the database is away', async () => {
    await start();
    rig.results.away = true;
    await rig.publish(
      messageOf('divide', { republished: true }, [1, 2]),
      messageOf('divide', { republished: true }, [1, 2]),
    );
    await rig.results.failed(2);
    rig.results.away = false;
    await rig.seen('task:succeeded', 2);
    expect(rig.of('warning')).toHaveLength(1);
    await expectAllAcknowledged();
  });

  it('gives a second copy to the execution under way, and acknowledges both', async () => {
    await start();
    await rig.publish(messageOf('gated', { id: 'same' }), messageOf('gated', { id: 'same', republished: true }));
    await Gated.running(1);
    await rig.seen('task:duplicate');
    run(0).gate.resolve(1);
    await rig.seen('task:succeeded');
    expect(Gated.runs).toHaveLength(1);
    await expectAllAcknowledged();
  });

  it('gives back what has not started when a consumer loses its channel: its copies are for whoever gets them', async () => {
    const broker = new LosingTransport('memory://losing');
    await start({ worker: { concurrency: 1 }, app: { broker } });
    await rig.publish(messageOf('gated', { id: 'runs' }), messageOf('gated', { id: 'waits' }));
    await rig.seen('task:received', 2);
    broker.lose('lovage');
    const received = await rig.seen('task:received', 3);
    expect(received[2]?.request.id).toBe('waits');
    run(0).gate.resolve(1);
    await Gated.running(2);
    run(1).gate.resolve(1);
    await rig.seen('task:succeeded', 2);
    expect(Gated.runs.map(({ id }) => id)).toEqual(['runs', 'waits']);
    await expectAllAcknowledged();
  });

  it('runs two attempts of one id apart', async () => {
    await start();
    await rig.publish(messageOf('gated', { id: 'same' }), messageOf('gated', { id: 'same', attempt: 1 }));
    await Gated.running(2);
    run(1).gate.resolve('second');
    await rig.seen('task:succeeded');
    run(0).gate.resolve('first');
    await rig.seen('task:duplicate');
    await expect(rig.results.find({ ids: ['same'] })).resolves.toMatchObject([{ result: 'second', attempt: 1 }]);
    await expectAllAcknowledged();
  });
});

describe('committing', () => {
  it('acknowledges only after the commit', async () => {
    await start({ worker: { shutdownTimeout: 0 } });
    rig.results.hold();
    await rig.publish(messageOf('divide', { id: 'held' }, [1, 2]));
    await rig.results.committing(1);
    // What is not acknowledged goes back when the worker stops at once.
    await rig.worker.stop({ now: true });
    await expect(rig.ready()).resolves.toBe(1);
    expect(rig.of('task:succeeded')).toEqual([]);
  });

  it('commits in batches: two flushes at most, the rest gathers', async () => {
    await start({ worker: { concurrency: 100 } });
    rig.results.hold();
    await rig.publish(messageOf('divide', { id: 'one' }, [1, 2]));
    await rig.results.committing(1);
    await rig.publish(messageOf('divide', { id: 'two' }, [1, 2]));
    await rig.results.committing(2);
    await rig.publish(...Array.from({ length: 100 }, () => messageOf('divide', {}, [1, 2])));
    await rig.seen('task:started', 102);
    rig.results.release();
    await rig.seen('task:succeeded', 102);
    expect(rig.results.commits.map((batch) => batch.length)).toEqual([1, 1, 100]);
    await expectAllAcknowledged();
  });

  it('announces the end of a task whose commit was applied and its answer lost', async () => {
    await start();
    rig.results.loseAnswer = true;
    await rig.publish(messageOf('divide', { id: 'once' }, [1, 2]));
    await rig.seen('task:succeeded');
    expect(rig.of('task:duplicate')).toEqual([]);
    await expect(stateOf('once')).resolves.toBe('SUCCESS');
    await expectAllAcknowledged();
  });

  it('keeps what it cannot commit, warns once, and loses nothing', async () => {
    await start({ worker: { concurrency: 4 } });
    rig.results.away = true;
    await rig.publish(...Array.from({ length: 20 }, () => messageOf('divide', {}, [1, 2])));
    await rig.results.failed(2);
    expect(rig.of('task:succeeded')).toEqual([]);
    rig.results.away = false;
    await rig.seen('task:succeeded', 20);
    expect(rig.of('warning')).toHaveLength(1);
    await expectAllAcknowledged();
  });

  it('replaces a record that cannot be stored by its failure, and dead-letters what cannot be stored at all', async () => {
    await start();
    rig.results.refused.add('cursed');
    await rig.publish(messageOf('divide', { id: 'cursed' }, [1, 2]), messageOf('divide', { id: 'blessed' }, [1, 2]));
    const [dead] = await rig.seen('message:dead');
    expect(dead).toMatchObject({ id: 'cursed', reason: expect.stringContaining('cannot be stored') as string });
    expect(rig.results.commits.flat()).toEqual(
      expect.arrayContaining(['cursed SUCCESS', 'cursed FAILURE', 'blessed SUCCESS']),
    );
    await rig.seen('task:succeeded');
    await expectAllAcknowledged();
  });
});

describe('lost messages', () => {
  const lost = (reason: string, id: string): Message => {
    const message = messageOf('divide', { id });
    return {
      ...message,
      queue: lostQueueOf('lovage'),
      headers: { ...message.headers, 'x-death': [{ reason, queue: 'lovage', count: 1 }] },
    };
  };

  it('records an expired message as REVOKED, and moves it', async () => {
    await start();
    await rig.publish(lost('expired', 'stale'));
    await rig.seen('message:dead');
    expect(rig.of('task:revoked')).toMatchObject([{ reason: 'expired' }]);
    await expect(rig.results.find({ ids: ['stale'] })).resolves.toMatchObject([{ state: 'REVOKED', queue: 'lovage' }]);
    const [letter] = await rig.takeDead(1);
    expect(letter?.headers).toMatchObject({ id: 'stale', 'x-lovage-queue': 'lovage' });
    await rig.worker.stop();
    await expect(rig.ready(lostQueueOf('lovage'))).resolves.toBe(0);
  });

  it('records a message at its delivery limit as FAILURE with a coded error, unless it had ended', async () => {
    await start();
    await rig.publish(messageOf('divide', { id: 'ended' }, [1, 2]));
    await rig.seen('task:succeeded');
    await rig.publish(lost('delivery_limit', 'poison'), lost('delivery_limit', 'ended'));
    await rig.seen('message:dead', 2);
    await expect(rig.results.find({ ids: ['poison'] })).resolves.toMatchObject([
      { state: 'FAILURE', error: { code: 'LOVAGE_MESSAGE_LOST' } },
    ]);
    await expect(stateOf('ended')).resolves.toBe('SUCCESS');
    expect(rig.of('task:failed')).toHaveLength(1);
  });

  it('moves what it cannot read, and what the broker did not put there, without a record', async () => {
    await start();
    await rig.publish(
      { ...lost('expired', 'torn'), body: Buffer.from('?') },
      { ...messageOf('divide', { id: 'by-hand' }), queue: lostQueueOf('lovage') },
    );
    await rig.seen('message:dead', 2);
    expect(rig.results.commits).toEqual([]);
    await rig.takeDead(2);
  });
});

describe('stopping', () => {
  it('lets running tasks finish and hands back what has not started', async () => {
    await start({ worker: { concurrency: 1 } });
    await rig.publish(messageOf('gated', { id: 'runs' }), messageOf('gated', { id: 'waits' }));
    await Gated.running(1);
    await rig.seen('task:received', 2);
    const stopping = rig.worker.stop({ reason: 'SIGTERM' });
    expect(rig.of('worker:stopping')).toMatchObject([{ reason: 'SIGTERM' }]);
    expect(rig.worker.consuming).toBe(false);
    run(0).gate.resolve('done');
    await expect(stopping).resolves.toEqual({ finished: 1, abandoned: 0, returned: 1, strays: 0 });
    expect(rig.worker.stop()).toBe(stopping);
    await expect(stateOf('runs')).resolves.toBe('SUCCESS');
    await expect(rig.ready()).resolves.toBe(1);
    expect(Gated.runs).toHaveLength(1);
    expect(rig.of('worker:stopped')).toMatchObject([{ abandoned: 0 }]);
  });

  it('gives up a task that does not end: its signal aborts, it goes back, its outcome is dropped', async () => {
    await start({ worker: { shutdownTimeout: 0 } });
    await rig.publish(messageOf('gated', { id: 'endless' }));
    await Gated.running(1);
    const signal = run(0).signal();
    await expect(rig.worker.stop()).resolves.toEqual({ finished: 0, abandoned: 1, returned: 0, strays: 0 });
    expect(signal.aborted).toBe(true);
    expect(isLovageError(signal.reason, 'LOVAGE_STOPPED')).toBe(true);
    await expect(rig.ready()).resolves.toBe(1);
    run(0).gate.resolve('too late');
    await run(0).gate.promise;
    expect(rig.results.commits).toEqual([]);
  });

  it('hands back a task that fails because its signal aborted', async () => {
    await start();
    await rig.publish(messageOf('gated', { id: 'polite' }), messageOf('gated', { id: 'done' }));
    await Gated.running(2);
    run(0)
      .signal()
      .addEventListener('abort', () => run(0).gate.reject(new Error('told to stop')));
    run(1)
      .signal()
      .addEventListener('abort', () => run(1).gate.resolve('saved in time'));
    await expect(rig.worker.stop({ now: true })).resolves.toEqual({
      finished: 1,
      abandoned: 1,
      returned: 0,
      strays: 0,
    });
    await expect(rig.ready()).resolves.toBe(1);
    expect(rig.results.commits.flat()).toEqual(['done SUCCESS']);
  });

  it('a second stop with `now` cuts the first one short', async () => {
    await start({ worker: { shutdownTimeout: '1h' } });
    await rig.publish(messageOf('gated'));
    await Gated.running(1);
    const stopping = rig.worker.stop();
    run(0)
      .signal()
      .addEventListener('abort', () => run(0).gate.reject(new Error('told to stop')));
    expect(rig.worker.stop({ now: true })).toBe(stopping);
    await stopping;
    await expect(rig.ready()).resolves.toBe(1);
  });

  it('hands back what waits for a look-up or a commit while the database is away', async () => {
    await start({ worker: { shutdownTimeout: 0 } });
    rig.results.away = true;
    await rig.publish(
      messageOf('divide', { id: 'uncommitted' }, [1, 2]),
      messageOf('divide', { id: 'suspicious', republished: true }, [1, 2]),
    );
    await rig.results.failed(2);
    await expect(rig.worker.stop()).resolves.toEqual({ finished: 0, abandoned: 1, returned: 1, strays: 0 });
    await expect(rig.ready()).resolves.toBe(2);
    rig.results.away = false;
    expect(rig.results.commits).toEqual([]);
  });

  it('cleans up after a start that failed, and may start again', async () => {
    rig = new Rig({ tasks: TASKS, app: { defaultQueue: 'theirs', queues: { theirs: { declare: false } } } });
    await expect(rig.worker.start()).rejects.toMatchObject({ code: 'LOVAGE_UNROUTABLE' });
    await (await rig.transport()).declare([{ name: 'theirs', type: 'quorum', maxPriority: null, declare: true }]);
    await rig.worker.start();
    await rig.publish(messageOf('divide', { queue: 'theirs' }, [1, 2]));
    await rig.seen('task:succeeded');
  });

  it('stops before and during start', async () => {
    rig = new Rig({ tasks: TASKS });
    const starting = rig.worker.start().catch((error: unknown) => error);
    await expect(rig.worker.stop()).resolves.toEqual({ finished: 0, abandoned: 0, returned: 0, strays: 0 });
    expect(isLovageError(await starting, 'LOVAGE_STOPPED')).toBe(true);
    await expect(rig.worker.start()).rejects.toMatchObject({ code: 'LOVAGE_STOPPED' });
  });
});
