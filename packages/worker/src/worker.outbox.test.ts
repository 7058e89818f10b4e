import { MemoryResultBackend, Task, TaskContext, isLovageError, type Message, type TaskClass } from '@lovage/core';
import { deferred, type Deferred } from '../test/deferred.js';
import { Gated } from '../test/gated-task.js';
import { Rig, messageOf, type RigOptions } from '../test/rig.js';

/** What the tasks of this file did, in order. */
let log: string[] = [];

@Task({ name: 'flaky', retry: { max: 2, backoff: 20, jitter: false, notFor: [TypeError] } })
class Flaky {
  static gate: Deferred<void> | null = null;
  static begun: (() => void)[] = [];

  /** Fails so often, then succeeds. */
  async run(failures: number): Promise<string> {
    const { retries, attempt } = TaskContext.current();
    log.push(`run ${attempt}`);
    for (const begun of Flaky.begun.splice(0)) begun();
    await Flaky.gate?.promise;
    if (retries < failures) throw new RangeError(`failure ${retries + 1}`);
    return 'done';
  }

  onRetry(error: unknown, { retries, delayMs }: { retries: number; delayMs: number }): void {
    log.push(`onRetry ${String(error)} ${retries} ${delayMs}`);
  }

  onFailure(error: unknown): void {
    log.push(`onFailure ${String(error)}`);
  }

  async onSuccess(result: unknown): Promise<void> {
    await Promise.resolve();
    log.push(`onSuccess ${String(result)}`);
  }
}

@Task({ name: 'hooked', retry: { max: 1, backoff: 0 } })
class Hooked {
  run(): void {
    throw new RangeError('always');
  }
  onRetry(): never {
    throw new Error('from onRetry');
  }
  onFailure(): never {
    throw new Error('from onFailure');
  }
}

@Task({ name: 'asks' })
class Asks {
  run(times: number): string {
    const context = TaskContext.current();
    log.push(`run ${context.attempt}`);
    if (context.retries < times) context.retry({ countdown: 0, cause: new Error('not yet') });
    return 'there';
  }
}

@Task({ name: 'typed', retry: { max: 5, notFor: ['TypeError'] } })
class Typed {
  run(): never {
    throw new TypeError('for good');
  }
}

@Task({ name: 'silent', ignoreResult: true, retry: { max: 1, backoff: 0 } })
class Silent {
  run(): void {
    if (TaskContext.current().retries === 0) throw new RangeError('once');
  }
}

@Task({ name: 'plain' })
class Plain {
  run(): string {
    log.push(`plain ${TaskContext.current().id}`);
    return 'plain';
  }
}

const TASKS: readonly TaskClass[] = [Flaky, Hooked, Asks, Typed, Silent, Plain, Gated];
const rigs: Rig[] = [];
let rig: Rig;

function rigOf(options: Partial<RigOptions> = {}): Rig {
  const made = new Rig({ tasks: TASKS, ...options });
  rigs.push(made);
  return made;
}

async function start(options: Partial<RigOptions> = {}): Promise<Rig> {
  rig = rigOf(options);
  await rig.worker.start();
  return rig;
}

async function recordOf(id: string) {
  return (await rig.results.find({ ids: [id] }))[0];
}

/** What the broker took for a task, first message first. */
const taken = (id: string): readonly Message[] => rig.broker.taken.filter(({ headers }) => headers['id'] === id);

/** Rows that nobody has sent yet. */
async function waiting(): Promise<number> {
  return (await rig.results.outbox.scheduled({})).length;
}

/** A run of Gated ends by asking for a retry, at once. */
function askForRetry(index: number): void {
  const { context, gate } = Gated.run(index);
  try {
    context.retry({ countdown: 0 });
  } catch (signal) {
    gate.reject(signal);
  }
}

async function expectAllAcknowledged(): Promise<void> {
  await rig.worker.stop();
  await expect(rig.ready()).resolves.toBe(0);
}

beforeEach(() => {
  log = [];
  Gated.runs = [];
  Flaky.gate = null;
  Flaky.begun = [];
});
afterEach(async () => {
  Gated.release();
  await Promise.all(rigs.splice(0).map((each) => each.stop()));
});

describe('a retry', () => {
  it('comes back after its back-off, under the same id, until it succeeds', async () => {
    await start();
    await rig.publish(messageOf('flaky', { id: 'f', headers: { tenant: 'acme' } }, [2]));
    const [first, second] = await rig.seen('task:retried', 2);
    expect(first).toMatchObject({ request: { id: 'f' }, retries: 1, delayMs: 20, error: { message: 'failure 1' } });
    expect(second).toMatchObject({ retries: 2, delayMs: 40, error: { message: 'failure 2' } });
    await rig.seen('task:succeeded');
    await expect(recordOf('f')).resolves.toMatchObject({
      state: 'SUCCESS',
      attempt: 2,
      retries: 2,
      error: null,
      scheduledAt: null,
    });
    expect(log).toEqual([
      'run 0',
      'onRetry RangeError: failure 1 1 20',
      'run 1',
      'onRetry RangeError: failure 2 2 40',
      'run 2',
      'onSuccess done',
    ]);
    expect(taken('f').at(-1)?.headers).toMatchObject({ retries: 2, tenant: 'acme', republished: true });
    expect(taken('f').at(-1)?.body).toEqual(taken('f')[0]?.body);
    await expectAllAcknowledged();
    await expect(waiting()).resolves.toBe(0);
  });

  it('is recorded while it waits, with its error and its time', async () => {
    await start();
    await rig.publish(messageOf('flaky', { id: 'f' }, [1]));
    rig.results.outbox.before = () => new Promise(() => undefined);
    await rig.seen('task:retried');
    const record = await recordOf('f');
    expect(record).toMatchObject({ state: 'RETRY', attempt: 1, retries: 1, error: { message: 'failure 1' } });
    expect(record?.scheduledAt?.getTime()).toBeGreaterThan(rig.runtime.now() - 1_000);
    await expect(rig.results.outbox.scheduled({})).resolves.toMatchObject([{ id: 'f', task: 'flaky', retries: 1 }]);
  });

  it('is the last: FAILURE with the last cause, and the count', async () => {
    await start();
    await rig.publish(messageOf('flaky', { id: 'f' }, [9]));
    const [failed] = await rig.seen('task:failed');
    expect(failed?.error.message).toBe('failure 3');
    await expect(recordOf('f')).resolves.toMatchObject({ state: 'FAILURE', attempt: 2, retries: 2 });
    expect(log.filter((line) => line.startsWith('onFailure'))).toEqual(['onFailure RangeError: failure 3']);
    await expectAllAcknowledged();
  });

  it('is made of no error that the policy excludes', async () => {
    await start();
    await rig.publish(messageOf('typed', { id: 't' }));
    await rig.seen('task:failed');
    await expect(recordOf('t')).resolves.toMatchObject({ state: 'FAILURE', retries: 0 });
    expect(rig.of('task:retried')).toEqual([]);
  });

  it('may be asked for, and ends with its cause when there are no more', async () => {
    await start();
    await rig.publish(messageOf('asks', { id: 'thrice' }, [3]), messageOf('asks', { id: 'ever' }, [99]));
    await rig.seen('task:succeeded');
    await rig.seen('task:failed');
    await expect(recordOf('thrice')).resolves.toMatchObject({ state: 'SUCCESS', retries: 3 });
    await expect(recordOf('ever')).resolves.toMatchObject({
      state: 'FAILURE',
      retries: 3,
      error: { message: 'not yet' },
    });
  });

  it('is made though the hooks throw', async () => {
    await start();
    await rig.publish(messageOf('hooked', { id: 'h' }));
    await rig.seen('task:failed');
    await expect(recordOf('h')).resolves.toMatchObject({ state: 'FAILURE', retries: 1, error: { message: 'always' } });
  });

  it('leaves a record of a task that ignores its result', async () => {
    await start();
    await rig.publish(messageOf('silent', { id: 's' }));
    await rig.seen('task:succeeded');
    await expect(recordOf('s')).resolves.toMatchObject({ state: 'SUCCESS', attempt: 1, retries: 1, result: null });
    expect(rig.results.commits.flat()).toEqual(['s RETRY', 's SUCCESS']);
    await expectAllAcknowledged();
  });

  it('is caused once by two copies that both fail', async () => {
    const one = { concurrency: 1, prefetch: 1 };
    await start({ worker: one });
    const other = rigOf({ worker: one, beside: rig });
    await other.worker.start();
    Flaky.gate = deferred();
    await rig.publish(messageOf('flaky', { id: 'f' }, [1]), messageOf('flaky', { id: 'f' }, [1]));
    while (log.length < 2) await new Promise<void>((resolve) => Flaky.begun.push(resolve));
    Flaky.gate.resolve();
    await Promise.race([rig.seen('task:duplicate'), other.seen('task:duplicate')]);
    await Promise.race([rig.seen('task:succeeded'), other.seen('task:succeeded')]);
    expect(log.filter((line) => line.startsWith('run'))).toEqual(['run 0', 'run 0', 'run 1']);
    expect([...rig.of('task:retried'), ...other.of('task:retried')]).toHaveLength(1);
    await expect(recordOf('f')).resolves.toMatchObject({ state: 'SUCCESS', attempt: 1 });
  });

  it('supersedes an earlier copy that comes late', async () => {
    await start();
    rig.results.outbox.before = () => new Promise(() => undefined);
    await rig.publish(messageOf('flaky', { id: 'f' }, [1]));
    await rig.seen('task:retried');
    await rig.publish(messageOf('flaky', { id: 'f', republished: true }, [1]));
    await rig.seen('task:duplicate');
    expect(log.filter((line) => line.startsWith('run'))).toEqual(['run 0']);
  });

  it.each([
    ['LOVAGE_RESULTS_NOT_CONFIGURED', null],
    ['LOVAGE_DRIVER', Object.assign(new MemoryResultBackend({ expiresMs: 1_000 }), { capabilities: {} })],
  ])('is refused at the start where there is no outbox: %s', async (code, results) => {
    rig = rigOf({ tasks: [Flaky, Plain], app: { results } });
    await expect(rig.worker.start()).rejects.toMatchObject({
      code,
      message: expect.stringContaining('flaky') as string,
    });
    expect(await rig.worker.start().catch((error: unknown) => String(error))).not.toContain('plain');
  });
});

describe('what a commit causes', () => {
  it('is sent right after it and once, if it is due now', async () => {
    await start();
    await rig.publish(messageOf('asks', { id: 'a' }, [1]));
    await rig.seen('task:succeeded');
    expect(taken('a').map(({ headers }) => headers['republished'])).toEqual([undefined, undefined]);
    await rig.worker.stop();
    expect(rig.results.outbox.removed).toHaveLength(1);
    rig.runtime.advance(60_000);
    await expect(rig.results.outbox.claim(10)).resolves.toMatchObject({ messages: [] });
  });

  it('is left to a relay when the answer was lost', async () => {
    await start();
    rig.results.loseAnswer = true;
    await rig.publish(messageOf('asks', { id: 'a' }, [1]));
    await rig.seen('task:retried');
    expect(taken('a')).toHaveLength(1);
    rig.runtime.advance(15_000);
    await rig.seen('task:succeeded');
    expect(taken('a').map(({ headers }) => headers['republished'])).toEqual([undefined, true]);
    expect(log).toEqual(['run 0', 'run 1']);
  });

  it('is left to a relay when its commit took too long', async () => {
    await start();
    rig.results.hold();
    await rig.publish(messageOf('asks', { id: 'a' }, [1]));
    await rig.results.committing(1);
    rig.runtime.advance(10_000);
    rig.results.release();
    await rig.seen('task:retried');
    expect(taken('a')).toHaveLength(1);
    rig.runtime.advance(15_000);
    await rig.seen('task:succeeded');
    expect(taken('a')[1]?.headers['republished']).toBe(true);
  });

  it('is left to a relay while the broker is away, and delays no acknowledgement', async () => {
    await start();
    await rig.publish(messageOf('asks', { id: 'a' }, [1]));
    rig.broker.away = true;
    await rig.seen('task:retried');
    rig.broker.away = false;
    rig.runtime.advance(15_000);
    await rig.seen('task:succeeded');
    expect(log).toEqual(['run 0', 'run 1']);
    await expectAllAcknowledged();
  });

  it('is nothing when the record did not apply', async () => {
    await start();
    await rig.publish(messageOf('gated', { id: 'g' }), messageOf('gated', { id: 'g', attempt: 5, retries: 5 }));
    await Gated.running(2);
    Gated.run(1).gate.resolve('ended');
    await rig.seen('task:succeeded');
    askForRetry(0);
    await rig.seen('task:duplicate');
    await rig.worker.stop();
    await expect(recordOf('g')).resolves.toMatchObject({ state: 'SUCCESS', result: 'ended', attempt: 5 });
    expect(taken('g')).toHaveLength(2);
    await expect(waiting()).resolves.toBe(0);
  });

  it('waits with a row that somebody has locked, while its neighbours go on', async () => {
    await start();
    rig.results.locked.add('locked');
    await rig.publish(messageOf('plain', { id: 'locked' }), messageOf('plain', { id: 'free' }));
    const [first] = await rig.seen('task:succeeded');
    expect(first?.request.id).toBe('free');
    rig.results.locked.clear();
    await rig.seen('task:succeeded', 2);
    await expect(recordOf('locked')).resolves.toMatchObject({ state: 'SUCCESS' });
    const tries = rig.results.commits.filter((batch) => batch.includes('locked SUCCESS'));
    expect(tries.slice(1).every((batch) => batch.length === 1)).toBe(true);
    expect(tries.length).toBeGreaterThan(1);
    await expectAllAcknowledged();
  });

  it('fails a task whose retry cannot be stored', async () => {
    await start();
    rig.results.refused.add('f');
    await rig.publish(messageOf('flaky', { id: 'f' }, [1]));
    // Not even its failure can be.
    await rig.seen('message:dead');
    await expect(waiting()).resolves.toBe(0);
    await rig.takeDead(1);
  });
});

describe('a task that comes too early', () => {
  it('waits in the outbox, and comes back without its eta', async () => {
    await start();
    const eta = new Date(rig.runtime.now() + 60_000);
    await rig.publish(messageOf('plain', { id: 'early', eta }));
    const [postponed] = await rig.seen('task:postponed');
    expect(postponed).toMatchObject({ reason: 'early', due: { at: eta } });
    await expect(recordOf('early')).resolves.toMatchObject({
      state: 'PENDING',
      attempt: 1,
      retries: 0,
      scheduledAt: eta,
    });
    await expect(rig.ready()).resolves.toBe(0);
    expect(log).toEqual([]);
    rig.runtime.advance(60_000);
    await rig.seen('task:succeeded');
    expect(taken('early')[1]?.headers).toMatchObject({ attempt: 1, retries: 0, republished: true });
    expect(taken('early')[1]?.headers).not.toHaveProperty('eta');
    await expect(recordOf('early')).resolves.toMatchObject({ state: 'SUCCESS', attempt: 1, retries: 0 });
    await expectAllAcknowledged();
  });

  it('is judged by the clock of the database', async () => {
    rig = rigOf();
    const { claim } = rig.results.outbox;
    rig.results.outbox.claim = async (limit) => {
      const claimed = await claim.call(rig.results.outbox, limit);
      return { ...claimed, now: claimed.now + 3_600_000 };
    };
    await rig.worker.start();
    await rig.publish(
      messageOf('plain', { id: 'due', eta: new Date(rig.runtime.now() + 1_800_000) }),
      messageOf('plain', { id: 'over', expires: new Date(rig.runtime.now() + 1_800_000) }),
    );
    await rig.seen('task:succeeded');
    const [revoked] = await rig.seen('task:revoked');
    expect(revoked?.request.id).toBe('over');
    expect(log).toEqual(['plain due']);
  });

  it('is moved once, though two copies of it come', async () => {
    await start();
    const message = messageOf('plain', { id: 'early', eta: new Date(rig.runtime.now() + 60_000) });
    await rig.publish(message);
    await rig.seen('task:postponed');
    await rig.publish(message);
    await rig.seen('task:duplicate');
    await expect(waiting()).resolves.toBe(1);
  });
});

describe('an unknown task', () => {
  it('waits for a worker that knows it', async () => {
    await start({ tasks: [Gated] });
    await rig.publish(messageOf('plain', { id: 'new', headers: { tenant: 'acme' } }));
    const [postponed] = await rig.seen('task:postponed');
    expect(postponed).toMatchObject({ reason: 'unknown', due: { inMs: 1_000 } });
    await expect(recordOf('new')).resolves.toMatchObject({ state: 'PENDING', attempt: 1, retries: 0 });
    await rig.worker.stop();
    const deployed = rigOf({ beside: rig });
    await deployed.worker.start();
    rig.runtime.advance(1_000);
    await deployed.seen('task:succeeded');
    expect(taken('new')[1]?.headers).toMatchObject({ tenant: 'acme', retries: 0, attempt: 1 });
    expect(taken('new')[1]?.headers['unknown_since']).toMatch(/^\d{4}-/);
    await expect(recordOf('new')).resolves.toMatchObject({ state: 'SUCCESS', attempt: 1, retries: 0 });
  });

  it('waits as long as it has waited, and ends FAILURE after its grace', async () => {
    await start({ tasks: [Gated], app: { worker: { unknownTaskGrace: '5s' } } });
    const since = rig.runtime.now();
    const back = (waitedMs: number, attempt: number) =>
      messageOf('plain', { id: 'old', attempt, unknownSince: new Date(since - waitedMs) });
    await rig.publish(back(3_000, 1));
    const [postponed] = await rig.seen('task:postponed');
    const waits = (postponed?.due as { inMs: number }).inMs;
    // Three seconds more would be too many.
    expect(waits).toBeGreaterThan(1_000);
    expect(waits).toBeLessThanOrEqual(2_050);
    await rig.publish(back(5_000, 7));
    const [failed] = await rig.seen('task:failed');
    expect(failed?.error).toMatchObject({
      code: 'LOVAGE_NOT_REGISTERED',
      message: expect.stringMatching(/'plain'.* autodiscover.* 5 s .*lovage retry old/) as string,
    });
    await expect(recordOf('old')).resolves.toMatchObject({ state: 'FAILURE', args: [], attempt: 7 });
    await expectAllAcknowledged();
  });

  it.each([
    [0, 1_000],
    [30_000, 30_000],
    [500_000, 60_000],
  ])('that has waited %p ms waits %p ms more', async (waitedMs, inMs) => {
    await start({ tasks: [Gated] });
    await rig.publish(messageOf('plain', { attempt: 1, unknownSince: new Date(rig.runtime.now() - waitedMs) }));
    const [postponed] = await rig.seen('task:postponed');
    expect(Math.abs((postponed?.due as { inMs: number }).inMs - inMs)).toBeLessThan(1_000);
  });

  it('that has expired is revoked', async () => {
    await start({ tasks: [Gated] });
    await rig.publish(messageOf('plain', { id: 'gone', expires: new Date(0) }));
    await rig.seen('task:revoked');
    await expect(recordOf('gone')).resolves.toMatchObject({ state: 'REVOKED' });
  });
});

describe('a unique task', () => {
  const call = (scope: 'queued' | 'running' | 'finished') =>
    rig.app
      .task(Gated)
      .with({ unique: { key: 'k', scope, ttl: '1h' } })
      .delay();

  it.each(['queued', 'running', 'finished'] as const)('holds its key as long as its scope says: %s', async (scope) => {
    rig = rigOf();
    const first = await call(scope);
    expect((await call(scope)).id).toBe(first.id);
    await rig.worker.start();
    await Gated.running(1);
    const whileRunning = await call(scope);
    expect(whileRunning.id === first.id).toBe(scope !== 'queued');
    Gated.run(0).gate.resolve(1);
    await rig.seen('task:succeeded');
    const afterwards = await call(scope);
    expect(afterwards.id === first.id).toBe(scope === 'finished');
    rig.runtime.advance(3_600_001);
    expect((await call(scope)).id).not.toBe(first.id);
  });

  it('frees its key before it runs, though the database was away', async () => {
    rig = rigOf();
    await call('queued');
    rig.results.away = true;
    let isReleased = false;
    const { before } = rig.results.outbox;
    rig.results.outbox.before = (step) => {
      if (step === 'release') isReleased = !rig.results.away;
      return before(step);
    };
    await rig.worker.start();
    await rig.seen('warning');
    expect(Gated.runs).toEqual([]);
    rig.results.away = false;
    await Gated.running(1);
    expect(isReleased).toBe(true);
    expect(rig.results.outbox.released).toHaveLength(1);
  });
});

describe('with its database away', () => {
  it('holds what ends, takes no more than its prefetch, and commits all of it later', async () => {
    await start({ worker: { concurrency: 5, prefetch: 10 } });
    rig.results.away = true;
    await rig.publish(...Array.from({ length: 30 }, (_, index) => messageOf('asks', { id: `a${index}` }, [1])));
    await rig.results.failed(3);
    expect(log.length).toBeLessThanOrEqual(10);
    await expect(rig.ready()).resolves.toBe(20);
    expect(rig.of('task:retried')).toEqual([]);
    rig.results.away = false;
    await rig.seen('task:succeeded', 30);
    expect(log).toHaveLength(60);
    await expectAllAcknowledged();
  });
});

describe('stopping', () => {
  it('hands back what was to be postponed and is not committed', async () => {
    await start({ worker: { shutdownTimeout: 0 } });
    rig.results.hold();
    await rig.publish(messageOf('plain', { eta: new Date(rig.runtime.now() + 60_000) }));
    await rig.results.committing(1);
    await rig.worker.stop();
    await expect(rig.ready()).resolves.toBe(1);
  });

  it('hands back what waits for its key to be freed', async () => {
    rig = rigOf({ worker: { shutdownTimeout: 0 } });
    await rig.app
      .task(Plain)
      .with({ unique: { key: 'k', scope: 'queued', ttl: '1h' } })
      .delay();
    const releasing = deferred();
    rig.results.outbox.before = (step) => {
      if (step !== 'release') return;
      releasing.resolve();
      return new Promise(() => undefined);
    };
    await rig.worker.start();
    await releasing.promise;
    await expect(rig.worker.stop()).resolves.toEqual({ finished: 0, abandoned: 0, returned: 1, strays: 0 });
    await expect(rig.ready()).resolves.toBe(1);
    expect(log).toEqual([]);
  });

  it('sends what its last commits have caused', async () => {
    await start();
    await rig.publish(messageOf('gated', { id: 'g' }));
    await Gated.running(1);
    const stopping = rig.worker.stop();
    askForRetry(0);
    await stopping;
    expect(taken('g')).toHaveLength(2);
    await expect(rig.ready()).resolves.toBe(1);
    expect(rig.results.outbox.removed).toHaveLength(1);
    expect(rig.results.outbox.watching).toBe(0);
  });

  it('leaves them to others when the broker does not answer', async () => {
    await start();
    await rig.publish(messageOf('asks', { id: 'a' }, [1]));
    const publishing = deferred();
    rig.broker.before = () => {
      publishing.resolve();
      return new Promise(() => undefined);
    };
    await publishing.promise;
    const at = performance.now();
    await rig.worker.stop({ now: true });
    expect(performance.now() - at).toBeLessThan(3_000);
    rig.runtime.advance(15_000);
    await expect(rig.results.outbox.claim(10)).resolves.toMatchObject({ messages: [{ taskId: 'a' }] });
  });

  it('does not wait for a claim that was its first', async () => {
    rig = rigOf();
    const claiming = deferred();
    rig.results.outbox.before = () => {
      claiming.resolve();
      return new Promise(() => undefined);
    };
    const starting = rig.worker.start().catch((error: unknown) => error);
    await claiming.promise;
    await rig.worker.stop({ now: true });
    await rig.app.stop();
    expect(rig.of('worker:ready')).toEqual([]);
    expect(isLovageError(await starting, 'LOVAGE_STOPPED')).toBe(true);
  });

  it('counts as finished what ran and has ended, not what had ended before', async () => {
    await start({ worker: { shutdownTimeout: 0 } });
    rig.results.locked.add('stuck');
    await rig.publish(messageOf('plain', { id: 'stuck' }), messageOf('gated', { id: 'runs' }));
    await Gated.running(1);
    await rig.results.committing(1);
    Gated.run(0)
      .signal()
      .addEventListener('abort', () => Gated.run(0).gate.resolve('in time'));
    await expect(rig.worker.stop({ now: true })).resolves.toEqual({
      finished: 1,
      abandoned: 1,
      returned: 0,
      strays: 0,
    });
  });
});
