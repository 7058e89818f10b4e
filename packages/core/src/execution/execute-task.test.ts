import type { TaskRequest } from '../message/task-request.js';
import { systemRuntime } from '../runtime/runtime.js';
import { Task, taskDefinitionOf } from '../task/task.js';
import { TaskContext } from '../task/task-context.js';
import type { NextRetry, TaskClass, TaskDefinition, TaskHooks } from '../task/task-definition.js';
import { type ExecutionHost, executeTask, newInstance } from './execute-task.js';
import type { Outcome } from './outcome.js';

const request: TaskRequest = {
  id: 'id',
  task: 'x',
  queue: 'q',
  attempt: 0,
  retries: 0,
  expires: null,
  eta: null,
  parentId: null,
  rootId: 'id',
  groupId: null,
  priority: null,
  shadow: null,
  ignoreResult: null,
  replyTo: null,
  republished: false,
  unique: null,
  tracked: false,
  timeLimits: null,
  unknownSince: null,
  origin: 'test',
  headers: {},
  args: [],
  kwargs: {},
};

const logged: string[] = [];
const write = (message: string): void => void logged.push(message);
const host: ExecutionHost = {
  runtime: { ...systemRuntime, random: () => 0 },
  resolver: newInstance,
  signal: new AbortController().signal,
  log: { debug: write, info: write, warn: write, error: write },
  maxResultSize: 1_000,
  canRetry: true,
  interrupted: false,
  decided: false,
  reportProgress: () => undefined,
};

async function run(
  taskClass: TaskClass,
  part: Partial<TaskRequest> = {},
  at: Partial<ExecutionHost> = {},
): Promise<Outcome> {
  return await executeTask({ ...request, ...part }, taskDefinitionOf(taskClass) as TaskDefinition, { ...host, ...at });
}

const heard: unknown[] = [];
beforeEach(() => {
  heard.length = 0;
  logged.length = 0;
});

@Task({ retry: { max: 2, backoff: 100, notFor: [SyntaxError] } })
class Flaky implements TaskHooks {
  run(error: unknown): never {
    throw error;
  }
  onRetry(error: unknown, next: NextRetry): void {
    heard.push(['retry', String(error), next, TaskContext.current().id]);
  }
  onFailure(error: unknown): void {
    heard.push(['failure', String(error)]);
  }
}

@Task()
class Asking {
  run(countdown: number | null, cause: string | null): void {
    TaskContext.current().retry({
      ...(countdown === null ? {} : { countdown }),
      ...(cause === null ? {} : { cause: new RangeError(cause) }),
    });
  }
}

describe('a policy', () => {
  it('retries what the task threw, and tells the hook', async () => {
    const outcome = await run(Flaky, { args: ['boom'], retries: 1 });
    expect(outcome).toMatchObject({ kind: 'retry', delayMs: 100, error: { message: 'boom' } });
    expect(heard).toEqual([['retry', 'boom', { retries: 2, delayMs: 100 }, 'id']]);
  });

  it('ends with the last error once the retries are used up', async () => {
    const outcome = await run(Flaky, { args: ['last'], retries: 2 });
    expect(outcome).toMatchObject({ kind: 'failure', error: { message: 'last' } });
    expect(heard).toEqual([['failure', 'last']]);
  });

  it.each(['arguments that do not fit', 'a result that cannot travel', 'a result that is too large'])(
    'does not retry %s',
    async (what) => {
      @Task({ retry: {}, params: ['x'] })
      class Misfit {
        run(_x: number): unknown {
          return what.includes('large') ? 'x'.repeat(2_000) : () => 1;
        }
      }
      const outcome = await run(Misfit, what.startsWith('arguments') ? { kwargs: { y: 1 } } : { args: [1] });
      expect(outcome.kind).toBe('failure');
    },
  );

  it('retries what the resolver could not make', async () => {
    const outcome = await run(Flaky, {}, { resolver: () => Promise.reject(new Error('no pool yet')) });
    expect(outcome).toMatchObject({ kind: 'retry', error: { message: 'no pool yet' } });
  });

  it('is total, whatever is thrown', async () => {
    const hostile = new Proxy(
      {},
      {
        get: () => {
          throw new Error('get');
        },
        has: () => {
          throw new Error('has');
        },
        getPrototypeOf: () => {
          throw new Error('prototype');
        },
      },
    );
    expect((await run(Flaky, { args: [hostile], retries: 2 })).kind).toBe('failure');
  });

  it('does not retry a resolver that gives no task', async () => {
    expect(await run(Flaky, {}, { resolver: () => 5 })).toMatchObject({
      kind: 'failure',
      error: { code: 'LOVAGE_TASK_DEFINITION' },
    });
  });

  it('leaves an error that it does not cover, an app that stores nothing, and a task that was told to stop', async () => {
    @Task({ retry: { for: [RangeError] } })
    class Choosy {
      run(): never {
        throw new TypeError('no');
      }
    }
    expect((await run(Choosy)).kind).toBe('failure');
    expect((await run(Flaky, { args: ['x'] }, { canRetry: false })).kind).toBe('failure');
    heard.length = 0;
    expect((await run(Flaky, { args: ['x'] }, { interrupted: true })).kind).toBe('failure');
    expect(heard).toEqual([]);
    await run(Flaky, { args: ['x'] }, { decided: true });
    expect(heard).toEqual([]);
  });
});

describe('TaskContext.retry', () => {
  it('has the task run again after its countdown, or the default back-off', async () => {
    expect(await run(Asking, { args: [5_000, 'why'] })).toMatchObject({
      kind: 'retry',
      delayMs: 5_000,
      error: { type: 'RangeError', message: 'why' },
    });
    expect(await run(Asking, { args: [null, null] })).toMatchObject({ kind: 'retry', delayMs: 500 });
  });

  it('ends with its cause, or says that there are no more', async () => {
    expect(await run(Asking, { args: [1, 'why'], retries: 3 })).toMatchObject({
      kind: 'failure',
      error: { type: 'RangeError', message: 'why' },
    });
    expect(await run(Asking, { args: [1, null], retries: 3 })).toMatchObject({
      kind: 'failure',
      error: { code: 'LOVAGE_RETRIES_EXHAUSTED' },
    });
  });

  it('refuses a wrong countdown, and an app without results', async () => {
    expect(await run(Asking, { args: [-1, null] })).toMatchObject({ error: { code: 'LOVAGE_USAGE' } });
    expect(await run(Asking, { args: [1, null] }, { canRetry: false })).toMatchObject({
      error: { code: 'LOVAGE_RESULTS_NOT_CONFIGURED' },
    });
  });
});

describe('hooks', () => {
  it('hear a success after its result was encoded', async () => {
    @Task()
    class Fine implements TaskHooks<number> {
      run(): number {
        return 7;
      }
      async onSuccess(result: number): Promise<void> {
        await Promise.resolve();
        heard.push(result);
      }
    }
    expect(await run(Fine)).toEqual({ kind: 'success', resultJson: '7' });
    expect(heard).toEqual([7]);
  });

  it('change nothing by throwing, which is logged', async () => {
    @Task()
    class Bad {
      run(fails: boolean): void {
        if (fails) throw new Error('mine');
      }
      onSuccess(): never {
        throw new Error('hook');
      }
      onFailure(): Promise<never> {
        return Promise.reject(new Error('hook'));
      }
    }
    expect((await run(Bad, { args: [false] })).kind).toBe('success');
    expect(await run(Bad, { args: [true] })).toMatchObject({ kind: 'failure', error: { message: 'mine' } });
    expect(logged).toEqual([
      'onSuccess of task x threw, which changes nothing',
      'onFailure of task x threw, which changes nothing',
    ]);
  });

  it('hear of arguments that do not fit', async () => {
    @Task({ params: ['x'] })
    class Strict {
      run(_x: number): void {}
      onFailure(error: unknown): void {
        heard.push((error as { code?: string }).code);
      }
    }
    await run(Strict, { kwargs: { y: 1 } });
    expect(heard).toEqual(['LOVAGE_ARGUMENTS']);
  });
});

describe('the stack of what a task threw', () => {
  const stackOf = async (taskClass: TaskClass): Promise<{ stack: string; cause: string }> => {
    const outcome = await run(taskClass);
    if (outcome.kind !== 'failure') throw new RangeError(`expected a failure, got ${outcome.kind}`);
    return { stack: outcome.error.stack ?? '', cause: outcome.error.cause?.stack ?? '' };
  };

  function fail(): never {
    throw new RangeError('deep', { cause: new TypeError('deeper') });
  }

  @Task()
  class Sync {
    run(): never {
      return fail();
    }
  }

  @Task()
  class Async {
    async run(): Promise<never> {
      await new Promise(setImmediate);
      return fail();
    }
  }

  @Task()
  class AmongTimers {
    async run(): Promise<never> {
      setTimeout(() => undefined, 2);
      const due = new Promise((resolve) => setTimeout(resolve, 1));
      const start = performance.now();
      while (performance.now() - start < 10); // both timers are due at one turn of the event loop
      await due;
      return fail();
    }
  }

  it.each([
    ['at once', Sync, /^ +at .*run/],
    ['later', Async, /^ +at .*run/],
    ['after one of several timers', AmongTimers, /^ +at .*run/],
  ])('%s ends with its own code', async (_when, taskClass, last) => {
    const { stack, cause } = await stackOf(taskClass);
    for (const [text, head] of [
      [stack, 'RangeError: deep'],
      [cause, 'TypeError: deeper'],
    ] as const) {
      const [message, first, ...frames] = text.split('\n');
      expect(message).toBe(head);
      expect(first).toMatch(/^ +at fail /);
      expect(frames).toEqual([expect.stringMatching(last)]);
    }
  });

  it('of an error that is ours is its message', async () => {
    const outcome = await run(Sync, {}, { resolver: () => ({}) });
    expect(outcome).toMatchObject({
      error: { stack: expect.stringMatching(/^[^\n]*resolver gave no instance[^\n]*$/) as string },
    });
  });
});
