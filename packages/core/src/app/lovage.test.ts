import { AsyncLocalStorage } from 'node:async_hooks';
import { Lovage, type AppOptions, Task, TaskContext, isLovageError } from '../index.js';

@Task({ name: 'math.divide' })
class Divide {
  run(x: number, y: number): number {
    if (y === 0) throw new RangeError('division by zero');
    return x / y;
  }
}

@Task({ name: 'echo' })
class Echo {
  async run(value: unknown): Promise<unknown> {
    return value;
  }
}

@Task({ name: 'describe' })
class Describe {
  run(): object {
    const { id, task, attempt, retries, parentId, rootId, headers } = TaskContext.current();
    return { id, task, attempt, retries, parentId, rootId, headers };
  }
}

@Task({ name: 'parent' })
class Parent {
  async run(): Promise<string> {
    const child = await inline.task(Describe).delay();
    return child.id;
  }
}

@Task({ name: 'silent', ignoreResult: true })
class Silent {
  run(): number {
    return 1;
  }
}

@Task({ name: 'waits' })
class Waits {
  async run(): Promise<unknown> {
    return (await inline.task(Echo).delay(1)).get();
  }
}

@Task({ name: 'injected' })
class Injected {
  constructor(private readonly greeting: string) {}
  run(): string {
    return this.greeting;
  }
}

@Task({ name: 'suicide', retry: { max: 3 } })
class Suicide {
  static runs = 0;

  async run(): Promise<never> {
    Suicide.runs += 1;
    await inline.result(TaskContext.current().id).revoke();
    throw new RangeError('to be retried');
  }
}

const inlineApp = (options: AppOptions = {}): Lovage =>
  new Lovage({ broker: 'memory://unused', results: 'memory://unused', ...options }).testing({ mode: 'inline' });
let inline: Lovage;

beforeEach(() => {
  inline = inlineApp();
});
afterEach(async () => {
  await inline.stop();
});

describe('an app in inline mode', () => {
  it('runs a typed call to its result', async () => {
    const result = await inline.task(Divide).delay(1, 2);
    await expect(result.get()).resolves.toBe(0.5);
    await expect(result.state()).resolves.toBe('SUCCESS');
    await expect(result.snapshot()).resolves.toEqual({ state: 'SUCCESS', result: 0.5 });
    await expect(Promise.all([result.ready(), result.successful(), result.failed()])).resolves.toEqual([
      true,
      true,
      false,
    ]);
  });

  it("throws the task's own error as the cause", async () => {
    const result = await inline.task(Divide).delay(1, 0);
    const error: unknown = await result.get().catch((thrown: unknown) => thrown);
    expect(isLovageError(error, 'LOVAGE_TASK_FAILED')).toBe(true);
    const { message, cause } = error as Error;
    expect(message).toBe(`task math.divide ${result.id} failed: RangeError: division by zero`);
    expect(cause).toBeInstanceOf(RangeError);
    expect((cause as Error).stack).toContain('lovage.test');
    await expect(result.failed()).resolves.toBe(true);
  });

  it('carries arguments as on the wire', async () => {
    const value = {
      at: new Date(0),
      big: 2n ** 70n,
      bytes: Buffer.from('ab'),
      map: new Map([[1, new Set(['x'])]]),
      __type__: 'mine',
    };
    const result = await inline.task(Echo).delay(value);
    await expect(result.get()).resolves.toEqual({ ...value, bytes: expect.anything() as unknown });
    const [record] = await inline.results.find({ task: 'echo' });
    expect(record?.args).toEqual([{ ...value, bytes: expect.anything() as unknown }]);
    await expect(inline.task(Echo).delay(() => 1)).rejects.toMatchObject({ code: 'LOVAGE_PAYLOAD' });
  });

  it('gives a task its context, and a child its lineage', async () => {
    const first = await inline
      .task(Describe)
      .with({ headers: { tenant: 'a' } })
      .delay();
    await expect(first.get()).resolves.toEqual({
      id: first.id,
      task: 'describe',
      attempt: 0,
      retries: 0,
      parentId: null,
      rootId: first.id,
      headers: { tenant: 'a' },
    });
    const parent = await inline.task(Parent).delay();
    const child = inline.result(await parent.get());
    await expect(child.get()).resolves.toMatchObject({ parentId: parent.id, rootId: parent.id });
    expect(() => TaskContext.current()).toThrow('outside a running task');
    expect((globalThis as Record<symbol, unknown>)[Symbol.for('lovage.task.context')]).toBeInstanceOf(
      AsyncLocalStorage,
    );
  });

  it('refuses get() inside a task', async () => {
    const error = (await (await inline.task(Waits).delay()).get().catch((thrown: unknown) => thrown)) as Error;
    expect(error.cause).toMatchObject({ code: 'LOVAGE_GET_INSIDE_TASK' });
  });

  it('ends an expired call REVOKED', async () => {
    const result = await inline
      .task(Divide)
      .with({ expires: new Date(0) })
      .delay(1, 2);
    await expect(result.get()).rejects.toMatchObject({
      code: 'LOVAGE_TASK_REVOKED',
      message: expect.stringContaining('expired') as string,
    });
    await expect(result.snapshot()).resolves.toMatchObject({ state: 'REVOKED' });
  });

  it('stores nothing for a task that ignores its result', async () => {
    const result = await inline.task(Silent).delay();
    await expect(result.get()).rejects.toMatchObject({ code: 'LOVAGE_RESULT_IGNORED' });
    await expect(inline.results.find()).resolves.toEqual([]);
  });

  it('finds, and forgets', async () => {
    const divide = inline.task(Divide);
    const results = await divide.delayMany([
      [1, 2],
      [3, 4],
      [1, 0],
    ]);
    expect(await Promise.all(results.slice(0, 2).map((result) => result.get()))).toEqual([0.5, 0.75]);
    const failed = await inline.results.find({ state: 'FAILURE', task: 'math.divide', since: new Date(0), limit: 5 });
    expect(failed).toMatchObject([
      { id: results[2]?.id, args: [1, 0], error: { type: 'RangeError', message: 'division by zero' } },
    ]);
    await expect(results[0]?.forget()).resolves.toBe(true);
    await expect(results[0]?.state()).resolves.toBe('PENDING');
    await expect(inline.results.get('nobody')).resolves.toBeUndefined();
  });

  it('times out with what to check', async () => {
    await expect(inline.result('nobody').get({ timeout: 1 })).rejects.toMatchObject({
      code: 'LOVAGE_RESULT_TIMEOUT',
      message: expect.stringContaining('Is a worker consuming its queue?') as string,
    });
    const reason = new Error('enough');
    await expect(inline.result('nobody').get({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });

  it('makes instances through the resolver, and says when one is needed', async () => {
    const app = inlineApp({
      resolver: async (taskClass) => new (taskClass as unknown as new (greeting: string) => object)('hello'),
    });
    await expect((await app.register(Injected).task(Injected).delay()).get()).resolves.toBe('hello');
    await app.stop();
    expect(() => inline.register(Injected)).toThrow(
      'the constructor of Injected takes 1 argument(s) and the app has no resolver',
    );
  });

  it('refuses a task it does not have', async () => {
    await expect(inline.task('py.add').delay(1)).rejects.toMatchObject({ code: 'LOVAGE_NOT_REGISTERED' });
  });
});

describe('with()', () => {
  const divide = new Lovage().task(Divide);

  it.each([
    [{ priority: 300 }, 'with(): expected priority to be an integer from 0 to 255, got 300'],
    [{ id: '' }, 'with(): expected id to be a string of 1 to 255 characters, got ""'],
    [
      { expires: 'soon' },
      'with(): expected expires to be a duration ≥ 0 such as \'5m\', or a valid Date before the year 9999, got "soon"',
    ],
    [{ expires: new Date(NaN) }, 'a valid Date'],
    [{ timeLimit: 0 }, 'expected timeLimit to be a duration from 1 ms to 24d'],
    [{ softTimeLimit: 2, timeLimit: 2 }, 'with(): expected softTimeLimit to be shorter than timeLimit'],
    [{ headers: { retries: 3 } }, "without the reserved header 'retries'"],
    [
      { count: 5 },
      "with(): 'count' is not an option; the options are queue, priority, id, expires, headers, kwargs, shadow, countdown, eta, tx, track, unique, softTimeLimit, timeLimit",
    ],
  ])('refuses %j', (options, message) => {
    expect(() => divide.with(options as object)).toThrow(message);
  });

  it('is immutable, and one id is for one call', async () => {
    expect(divide.with({ queue: 'slow' })).not.toBe(divide);
    await expect(
      divide.with({ id: 'a' }).delayMany([
        [1, 2],
        [3, 4],
      ]),
    ).rejects.toThrow('names one call');
  });
});

describe('revoking in inline mode', () => {
  it('keeps a task from running, by its id', async () => {
    expect(await inline.revoke(['early', 'early'], { reason: 'not this one' })).toEqual([
      { id: 'early', state: 'REVOKED' },
    ]);
    const result = await inline.task(Divide).with({ id: 'early' }).delay(1, 2);
    await expect(result.get()).rejects.toMatchObject({
      code: 'LOVAGE_TASK_REVOKED',
      message: 'task early was revoked: not this one',
    });
  });

  it('keeps the end of a task that has one, and says so', async () => {
    const result = await inline.task(Divide).delay(1, 2);
    await expect(result.revoke()).resolves.toBe(false);
    await expect(result.get()).resolves.toBe(0.5);
  });

  it('drops what a task makes of its run that is revoked meanwhile', async () => {
    const result = await inline.task(Suicide).delay();
    await expect(result.snapshot()).resolves.toMatchObject({ state: 'REVOKED' });
    expect(Suicide.runs).toBe(1);
  });

  it.each([
    [['a\0b'], {}, 'expected an id to be a string of 1 to 255 characters'],
    [['a'], { terminate: 1 }, 'expected terminate to be true or false, got 1'],
    [['a'], { reason: '' }, 'expected reason to be a text of 1 to 255 characters'],
    [['a'], { terminat: true }, "did you mean 'terminate'?"],
  ])('refuses %j with %j', async (ids, options, message) => {
    await expect(inline.revoke(ids, options as never)).rejects.toMatchObject({
      code: 'LOVAGE_USAGE',
      message: expect.stringContaining(message) as string,
    });
  });
});

describe('an app', () => {
  it('without results runs tasks and names the missing key', async () => {
    const app = new Lovage({ broker: 'memory://none' }).testing({ mode: 'inline' });
    const result = await app.task(Divide).delay(1, 2);
    await expect(result.get()).rejects.toMatchObject({
      code: 'LOVAGE_RESULTS_NOT_CONFIGURED',
      message: expect.stringContaining('`results`') as string,
    });
    await app.stop();
  });

  it('without a broker names the missing key', async () => {
    await expect(new Lovage().task(Divide).delay(1, 2)).rejects.toMatchObject({
      code: 'LOVAGE_CONFIG',
      message: expect.stringContaining('`broker`') as string,
    });
  });

  it('names the id of a call that could not be sent', async () => {
    const app = new Lovage({ broker: 'memory://strict', queues: { theirs: { declare: false } } });
    const failed: unknown = await app
      .task(Divide)
      .with({ queue: 'theirs', id: 'mine' })
      .delay(1, 2)
      .catch((thrown: unknown) => thrown);
    expect(failed).toMatchObject({ code: 'LOVAGE_UNROUTABLE', details: { id: 'mine' } });
    await app.stop();
  });

  it('turns what an async listener throws into a warning', async () => {
    const app = new Lovage();
    const warned = new Promise((resolve) => app.events.on('warning', resolve));
    const failing: () => unknown = () => Promise.reject(new Error('mine'));
    app.events.on('task:sent', failing);
    app.events.emit('task:sent', { id: 'a', task: 'b', queue: 'c' });
    await expect(warned).resolves.toMatchObject({ message: "a listener of 'task:sent' threw" });
  });

  it.each([
    [{ limit: -1 }, 'find(): expected limit to be an integer ≥ 0, got -1'],
    [{ limit: 1.5 }, 'an integer ≥ 0'],
    [{ since: new Date(NaN) }, 'a valid Date'],
    [{ state: 'a\0b' }, 'the name of a state'],
    [{ stat: 'SUCCESS' }, "'stat' is not an option (did you mean 'state'?)"],
  ])('refuses to find %j', async (filter, message) => {
    await expect(inline.results.find(filter as object)).rejects.toMatchObject({
      code: 'LOVAGE_USAGE',
      message: expect.stringContaining(message) as string,
    });
  });

  it('refuses use after stop, and configuration after use', async () => {
    const app = new Lovage({ broker: 'memory://stopped' });
    await app.connect();
    expect(() => app.configFromObject({})).toThrow('comes too late');
    await app.stop();
    await app.stop();
    await expect(app.task(Divide).delay(1, 2)).rejects.toMatchObject({ code: 'LOVAGE_STOPPED' });
  });

  it('leaves what was handed in open', async () => {
    const stop = jest.fn();
    const app = new Lovage({
      broker: {
        ...Object.create(null),
        capabilities: {},
        start: async () => {},
        stop,
        declare: async () => {},
        publish: async () => [null],
        consume: async () => Promise.reject(new Error('no')),
      } as never,
    });
    await app.task(Divide).delay(1, 2);
    await app.stop();
    expect(stop).not.toHaveBeenCalled();
  });
});

// What follows is checked by the compiler alone.
export async function types(app: Lovage): Promise<void> {
  const divide = app.task(Divide);
  const result = await divide.delay(1, 2);
  const value: number = await result.get();
  void value;
  // @ts-expect-error the result is a number
  const text: string = await result.get();
  void text;
  // @ts-expect-error an argument is missing
  await divide.delay(1);
  // @ts-expect-error an argument has another type
  await divide.delay('1', 2);
  // @ts-expect-error in a batch as well
  await divide.delayMany([[1]]);
  await divide.with({ kwargs: { y: 2 } }).delay(1);
  const remote = app.task<[name: string], boolean>('py.exists');
  const exists: boolean = await (await remote.delay('x')).get();
  void exists;
  // @ts-expect-error not an option
  divide.with({ countdwn: 1 });
  class NoTask {
    walk(): void {}
  }
  // @ts-expect-error not a task class
  app.task(NoTask);
  const snapshot = await result.snapshot();
  if (snapshot.state === 'SUCCESS') {
    const half: number = snapshot.result;
    void half;
  }
}
