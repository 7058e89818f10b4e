import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { threadId } from 'node:worker_threads';
import type { AppOptions, TaskEnvelope, TaskLogger } from '@lovage/core';
import { Rig, messageOf } from '../test/rig.js';
import { TASKS } from '../test/threads-app.js';
import type { AppSource, WorkerOptions } from './worker-options.js';

const SOURCE: AppSource = {
  app: join(__dirname, '..', 'test', 'threads-app.ts'),
  // By its path: a thread of a test reads TypeScript as those of the lovage command do.
  loader: join(__dirname, '..', '..', 'cli', 'dist', 'thread-loader.js'),
};

/** What was logged: its task, level, message and the rest. */
let lines: unknown[][];
let rig: Rig;

const loggerOf = (task: object | null): TaskLogger => {
  const write =
    (level: string) =>
    (...line: unknown[]): void =>
      void lines.push([task, level, ...line]);
  return { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
};

async function start(worker: WorkerOptions = {}, app: AppOptions = {}): Promise<void> {
  const logger = { ...loggerOf(null), child: loggerOf };
  rig = new Rig({ tasks: TASKS, worker: { source: SOURCE, threads: 1, logger, ...worker }, app });
  await rig.worker.start();
}

const send = (task: string, envelope: Partial<TaskEnvelope> = {}, args: readonly unknown[] = []): Promise<void> =>
  rig.publish(messageOf(task, envelope, args));
const recordOf = async (id: string) => (await rig.results.find({ ids: [id] }))[0];

/** Resolves once the task has reported progress: it runs. */
async function progressed(id: string): Promise<void> {
  while ((await recordOf(id))?.state !== 'PROGRESS') await new Promise((resolve) => setTimeout(resolve, 5));
}

jest.setTimeout(30_000);
beforeEach(() => {
  lines = [];
});
afterEach(() => rig.stop());

describe('a task in a thread', () => {
  it('has its arguments, its context, and an instance of the resolver there', async () => {
    await start();
    await send('where', { id: 'a', attempt: 2, headers: { tenant: 'x' } }, ['hello']);
    await rig.seen('task:succeeded');
    const { result } = (await recordOf('a')) as { readonly result: { readonly threadId: number } };
    expect(result).toEqual({
      greeting: 'hello',
      id: 'a',
      attempt: 2,
      headers: { tenant: 'x' },
      threadId: result.threadId,
      madeIn: result.threadId,
    });
    expect(result.threadId).not.toBe(threadId);
    expect(rig.of('task:started')).toHaveLength(1);
  });

  it('keeps nothing waiting that runs on the event loop', async () => {
    await start();
    await send('spins', { id: 'busy' }, ['return']);
    await progressed('busy');
    await send('elsewhere', { id: 'quick' });
    await rig.seen('task:succeeded');
    await expect(recordOf('quick')).resolves.toMatchObject({ state: 'SUCCESS', result: threadId });
    expect(rig.worker.running).toBe(1);
  });

  it('is each one that does not say otherwise, where that is the default', async () => {
    await start({ pool: 'threads' });
    await send('elsewhere', { id: 'a' });
    await rig.seen('task:succeeded');
    expect((await recordOf('a'))?.result).not.toBe(threadId);
  });

  it('logs, reports progress, and leaves a promise behind, as on the event loop', async () => {
    await start();
    await send('says', { id: 'a' });
    await rig.seen('task:succeeded');
    const about = { task: 'says', id: 'a' };
    expect(lines.slice(0, 2)).toEqual([
      [about, 'info', 'plain', { n: 1 }],
      [about, 'warn', 'odd', { meta: '{ f: [Function: f] }' }],
    ]);
    await send('where', { id: 'b' });
    await rig.seen('task:succeeded', 2);
    expect(lines[2]).toEqual([
      null,
      'error',
      expect.stringContaining('a promise was rejected and nobody awaited it: Error: nobody awaits this'),
      expect.anything(),
    ]);
  });

  it('may ask to be retried', async () => {
    await start();
    await send('retries', { id: 'a' });
    await rig.seen('task:succeeded');
    await expect(recordOf('a')).resolves.toMatchObject({ state: 'SUCCESS', result: 1 });
  });
});

describe('a limit of a task in a thread', () => {
  it('is heard of by a loop that never awaits, if it looks at its signal', async () => {
    await start();
    await send('spins', { id: 'a', timeLimits: { softMs: 50, hardMs: null } }, ['return']);
    await rig.seen('task:succeeded');
    await expect(recordOf('a')).resolves.toMatchObject({ result: 'SoftTimeLimitError' });
    await send('spins', { id: 'b', timeLimits: { softMs: 50, hardMs: null } }, ['throw']);
    await rig.seen('task:failed');
    await expect(recordOf('b')).resolves.toMatchObject({
      error: { type: 'SoftTimeLimitError', code: 'LOVAGE_SOFT_TIME_LIMIT' },
    });
  });

  it('ends the thread of one that heeds nothing, and another takes its place', async () => {
    await start();
    await send('hangs', { id: 'a', timeLimits: { softMs: null, hardMs: 50 } });
    // Less than a thread takes to load the app: that is no part of the task's time.
    await send('where', { id: 'b', timeLimits: { softMs: null, hardMs: 100 } });
    await rig.seen('task:succeeded');
    await expect(recordOf('a')).resolves.toMatchObject({ state: 'FAILURE', error: { code: 'LOVAGE_TIME_LIMIT' } });
    await expect(recordOf('b')).resolves.toMatchObject({ state: 'SUCCESS' });
    expect(rig.worker.strays).toBe(0);
    expect(rig.of('warning')).toEqual([]);
  });
});

describe('a thread that is lost after a task that ran alone', () => {
  it('keeps its slot until another has taken its place', async () => {
    await start();
    const { starts } = rig.results.capabilities;
    for (let start = 0; start < 2; start += 1) await starts?.begin([{ id: 'suspect', attempt: 0 }]);
    await send('where', { id: 'suspect', republished: true });
    await rig.seen('task:succeeded');
    await send('hangs', { id: 'a', timeLimits: { softMs: null, hardMs: 50 } });
    await send('where', { id: 'b', timeLimits: { softMs: null, hardMs: 100 } });
    await rig.until(() => [...rig.of('task:succeeded'), ...rig.of('task:failed')].length === 3);
    await expect(recordOf('b')).resolves.toMatchObject({ state: 'SUCCESS' });
  });
});

describe('a task in a thread that is revoked, with terminate', () => {
  const GRACE = { revocations: { grace: 100 } } as const;
  const revoke = (id: string) => rig.app.revoke([id], { terminate: true });

  it('hears of it, even in a loop that never awaits', async () => {
    await start({}, { revocations: { grace: '20s' } });
    for (const [index, then] of (['return', 'throw'] as const).entries()) {
      await send('spins', { id: then }, [then]);
      await progressed(then);
      await revoke(then);
      await rig.seen('task:revoked', index + 1);
      await expect(recordOf(then)).resolves.toMatchObject({ state: 'REVOKED', result: null });
    }
    expect([...rig.of('task:failed'), ...rig.of('task:succeeded')]).toEqual([]);
  });

  it('loses its thread after the grace if it heeds nothing, and another takes its place', async () => {
    await start({}, GRACE);
    await send('hangs', { id: 'a' });
    await rig.seen('task:started');
    await send('where', { id: 'b' });
    await revoke('a');
    await rig.seen('task:succeeded');
    await expect(recordOf('a')).resolves.toMatchObject({ state: 'REVOKED', task: 'hangs' });
    await expect(recordOf('b')).resolves.toMatchObject({ state: 'SUCCESS' });
    expect(rig.worker.strays).toBe(0);
    expect(rig.of('warning')).toEqual([]);
  });
});

describe('a thread that dies', () => {
  it('fails its task, which is retried by its policy, and is replaced each time', async () => {
    await start();
    await send('exits', { id: 'a' });
    await send('where', { id: 'b' });
    await rig.seen('task:failed');
    await rig.seen('task:succeeded');
    expect(rig.of('task:retried')).toHaveLength(1);
    await expect(recordOf('a')).resolves.toMatchObject({
      state: 'FAILURE',
      error: {
        type: 'ThreadDiedError',
        code: 'LOVAGE_THREAD_DIED',
        message: 'the thread that ran the task ended with exit code 3: did it call process.exit()?',
      },
    });
    await expect(recordOf('b')).resolves.toMatchObject({ state: 'SUCCESS' });
  });
});

describe('a thread that dies while it loads the app', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'lovage-threads-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('is replaced by one', async () => {
    const [app, loads] = [join(folder, 'app.ts'), join(folder, 'loads')];
    writeFileSync(
      app,
      `import { appendFileSync, readFileSync } from 'node:fs';
      export { app } from ${JSON.stringify(SOURCE.app)};
      appendFileSync(${JSON.stringify(loads)}, '.');
      if (readFileSync(${JSON.stringify(loads)}).length === 2) process.exit(7);`,
    );
    await start({ source: { ...SOURCE, app } });
    await send('exits', { id: 'a', retries: 1 });
    await send('where', { id: 'b' });
    await rig.seen('task:succeeded');
    await rig.worker.stop();
    expect(readFileSync(loads, 'utf8')).toBe('...');
  });
});

describe('a stop', () => {
  it('tells the task, and hands it back if it fails then', async () => {
    await start({ shutdownTimeout: 0 });
    await send('waits', { id: 'a' });
    await progressed('a');
    await expect(rig.worker.stop()).resolves.toEqual({ finished: 0, abandoned: 1, returned: 0, strays: 0 });
    await expect(rig.ready()).resolves.toBe(1);
  });

  it('lets it end, if it does in time', async () => {
    await start({ shutdownTimeout: 0 });
    await send('spins', { id: 'a' }, ['return']);
    await progressed('a');
    await expect(rig.worker.stop()).resolves.toEqual({ finished: 1, abandoned: 0, returned: 0, strays: 0 });
    await expect(recordOf('a')).resolves.toMatchObject({ state: 'SUCCESS', result: 'StoppedError' });
  });

  it('ends a thread that heeds nothing', async () => {
    await start({ shutdownTimeout: 0 });
    await send('hangs', { id: 'a' });
    await rig.seen('task:started');
    await expect(rig.worker.stop()).resolves.toEqual({ finished: 0, abandoned: 1, returned: 0, strays: 0 });
    await expect(rig.ready()).resolves.toBe(1);
  });
});

describe('a worker with threads', () => {
  const startWith = (source: AppSource | undefined): Promise<unknown> => {
    rig = new Rig({ tasks: TASKS, worker: { threads: 1, ...(source !== undefined && { source }) } });
    return rig.worker.start();
  };

  it('says how many there are', async () => {
    await start({ threads: 2 });
    await expect(rig.worker.start()).resolves.toMatchObject({ pool: 'async', threads: 2 });
  });

  it('does not start without knowing where its app is', async () => {
    await expect(startWith(undefined)).rejects.toMatchObject({ code: 'LOVAGE_USAGE' });
  });

  it('does not start where they cannot load the app', async () => {
    await expect(startWith({ ...SOURCE, app: '/nowhere/app.ts' })).rejects.toMatchObject({
      code: 'LOVAGE_APP_NOT_FOUND',
      message: expect.stringContaining("a thread could not load the app: no app at '/nowhere/app.ts'") as string,
    });
  });

  it('does not start where they do not find its tasks', async () => {
    await expect(startWith({ ...SOURCE, app: `${SOURCE.app}:empty` })).rejects.toMatchObject({
      code: 'LOVAGE_USAGE',
      message: expect.stringContaining('has no task exits, hangs, ') as string,
    });
  });
});
