import { Lovage, type AppOptions } from './lovage.js';
import type { CallOptions } from './call-options.js';
import { MemoryResultBackend } from '../results/memory-result-backend.js';
import { type Outbox, type OutboxMessage } from '../outbox/outbox.js';
import type { Delivery } from '../message/message.js';
import { decodeTask } from '../message/task-codec.js';
import { type Runtime, systemRuntime } from '../runtime/runtime.js';
import { Task } from '../task/task.js';

@Task({ name: 'divide' })
class Divide {
  run(x: number, y: number): number {
    return x / y;
  }
}

@Task({ name: 'silent', ignoreResult: true })
class Silent {
  run(): void {}
}

let apps: Lovage[] = [];
let urls = 0;
let now = Date.UTC(2026, 10, 23);
const runtime: Runtime = { ...systemRuntime, now: () => now };

function makeApp(options: AppOptions = {}): { readonly app: Lovage; readonly outbox: Outbox } {
  const url = `memory://outbox-calls-${(urls += 1)}`;
  const results = new MemoryResultBackend({ expiresMs: 1_000, runtime });
  const app = new Lovage({ broker: url, results, runtime, ...options });
  apps.push(app);
  return { app, outbox: results.capabilities.outbox as Outbox };
}

afterEach(async () => {
  await Promise.all(apps.map((app) => app.stop()));
  apps = [];
  now = Date.UTC(2026, 10, 23);
});

/** What a relay would send, had it time until then. */
async function dueBy(outbox: Outbox, time: number): Promise<readonly OutboxMessage[]> {
  now = time;
  return (await outbox.claim(100)).messages;
}

async function messagesIn(app: Lovage, queue = 'lovage'): Promise<number> {
  const depths = await (await app.transport()).capabilities.inspect?.depths([queue]);
  return depths?.[0]?.messages ?? 0;
}

describe('a call with countdown or eta', () => {
  it('is a row of the outbox, due when it says, and PENDING from the start', async () => {
    const { app, outbox } = makeApp();
    const start = now;
    const result = await app.task(Divide).with({ countdown: '5m' }).delay(1, 2);
    expect(await messagesIn(app)).toBe(0);
    expect(await app.results.get(result.id)).toMatchObject({
      state: 'PENDING',
      task: 'divide',
      args: [1, 2],
      scheduledAt: new Date(start + 300_000),
    });
    expect(await dueBy(outbox, start + 299_999)).toEqual([]);
    const [row] = await dueBy(outbox, start + 300_000);
    const request = decodeTask((row as OutboxMessage).message);
    expect(request).toMatchObject({ id: result.id, task: 'divide', args: [1, 2], eta: null, queue: 'lovage' });
  });

  it('takes a past eta as due now', async () => {
    const { app, outbox } = makeApp();
    await app
      .task(Divide)
      .with({ eta: new Date(0) })
      .delay(1, 2);
    expect(await dueBy(outbox, now)).toHaveLength(1);
  });

  it('of eta and countdown of two with() the later one holds', async () => {
    const { app } = makeApp();
    const eta = new Date(now + 60_000);
    await app
      .task(Divide)
      .with({ eta: new Date(0) })
      .with({ countdown: '1m' })
      .delay(1, 2);
    await app.task(Divide).with({ countdown: '1h' }).with({ eta }).delay(1, 2);
    expect((await app.scheduled.list()).map((scheduled) => scheduled.eta)).toEqual([eta, eta]);
  });

  it('can be listed and cancelled', async () => {
    const { app, outbox } = makeApp();
    const divide = app.task(Divide);
    const [late, soon] = await Promise.all([
      divide.with({ countdown: '2h' }).delay(1, 2),
      divide.with({ countdown: '1h' }).delay(3, 4),
    ]);
    expect(await app.scheduled.list({ task: 'divide', limit: 1 })).toEqual([
      {
        id: soon.id,
        task: 'divide',
        queue: 'lovage',
        eta: new Date(now + 3_600_000),
        retries: 0,
        argsText: '[3,4]',
        createdAt: new Date(now),
      },
    ]);
    const waiting = soon.get();
    expect(await app.scheduled.cancel(soon.id)).toBe(true);
    await expect(waiting).rejects.toMatchObject({
      code: 'LOVAGE_TASK_REVOKED',
      message: expect.stringContaining('cancelled') as string,
    });
    expect(await app.scheduled.cancel(soon.id)).toBe(false);
    expect((await dueBy(outbox, now + 7_200_000)).map(({ taskId }) => taskId)).toEqual([late.id]);
  });

  it('goes with delayMany, each call by itself', async () => {
    const { app } = makeApp();
    const results = await app
      .task(Divide)
      .with({ countdown: 1_000 })
      .delayMany([
        [1, 2],
        [3, 4],
      ]);
    expect((await app.scheduled.list()).map(({ id }) => id).sort()).toEqual(results.map(({ id }) => id).sort());
  });

  it('of an id that is known already is not written again', async () => {
    const { app } = makeApp();
    const named = app.task(Divide).with({ id: 'one', countdown: '1h' });
    await named.delay(1, 2);
    await named.delay(1, 2);
    expect(await app.scheduled.list()).toHaveLength(1);
  });

  it('leaves no record for a task that ignores its result', async () => {
    const { app } = makeApp();
    const { id } = await app.task(Silent).with({ countdown: '1h' }).delay();
    expect(await app.results.get(id)).toBeUndefined();
    expect(await app.scheduled.list()).toHaveLength(1);
  });

  it('needs results, and says so', async () => {
    const { app } = makeApp({ results: null });
    await expect(app.task(Divide).with({ countdown: 1 }).delay(1, 2)).rejects.toMatchObject({
      code: 'LOVAGE_RESULTS_NOT_CONFIGURED',
    });
  });

  it('is refused if no broker would take it: later nobody could be told', async () => {
    const { app } = makeApp();
    const later = app.task<[string]>('x').with({ countdown: 1 });
    await expect(later.with({ headers: { big: 'x'.repeat(60_000) } }).delay('')).rejects.toMatchObject({
      code: 'LOVAGE_PAYLOAD',
      message: expect.stringMatching(
        /the call of x cannot be sent: expected its headers to take at most 60000 bytes/,
      ) as string,
    });
    await expect(later.delay('x'.repeat(17_000_000))).rejects.toThrow(/body to have at most 16777216 bytes/);
    expect(await app.scheduled.list()).toEqual([]);
  });

  it.each<readonly [CallOptions | Record<string, unknown>, string]>([
    [{ countdown: -1 }, 'expected countdown to be a duration from 0 to 36500d'],
    [{ countdown: '300000y' }, 'expected countdown to be'],
    [{ eta: new Date('never') }, 'expected eta to be a valid Date before the year 9999'],
    [{ eta: '2026-11-24' }, 'expected eta to be a valid Date'],
    [{ eta: new Date(8_640_000_000_000_000) }, 'expected eta to be a valid Date before the year 9999'],
    [{ eta: new Date(), countdown: 1 }, 'expected countdown or eta, got both'],
    [{ track: 'yes' }, 'expected track to be true or false'],
    [{ tx: {} }, 'expected tx to be a pg client with an open transaction'],
    [{ tx: { query: () => null, totalCount: 1 } }, 'not a Pool'],
    [{ unique: { key: 'a', scope: 'running' } }, 'with a ttl: without one'],
    [{ unique: { key: 'a', scope: 'running', ttl: 0 } }, 'whose ttl is a duration from 1 ms'],
    [{ unique: { key: '', scope: 'running', ttl: 1 } }, 'whose key is a string'],
    [{ unique: { key: 'a', scope: 'always', ttl: 1 } }, "whose scope is 'queued', 'running', 'finished'"],
    [{ unique: { key: 'a', scope: 'running', ttl: 1, tll: 2 } }, "without 'tll'"],
    [{ unique: 'a' }, 'expected unique to be an object { key, scope, ttl }'],
  ])('refuses %p', (options, message) => {
    expect(() => new Lovage().task(Divide).with(options as CallOptions)).toThrow(message);
  });
});

describe('a call with track', () => {
  it('is PENDING in the same commit, and sent at once', async () => {
    const { app, outbox } = makeApp();
    const sent: string[] = [];
    app.events.on('task:sent', ({ id }) => sent.push(id));
    const { id } = await app.task(Divide).with({ track: true }).delay(1, 2);
    expect(await app.results.get(id)).toMatchObject({ state: 'PENDING', scheduledAt: null });
    expect(await app.results.get('unknown')).toBeUndefined();
    expect(await messagesIn(app)).toBe(1);
    expect(sent).toEqual([id]);
    expect(await dueBy(outbox, now + 3_600_000)).toEqual([]);
  });

  it('stays in the outbox where the broker does not take it', async () => {
    const { app, outbox } = makeApp({ queues: { theirs: { declare: false } } });
    const { id } = await app.task(Divide).with({ track: true, queue: 'theirs' }).delay(1, 2);
    expect(await dueBy(outbox, now + 14_999)).toEqual([]);
    expect((await dueBy(outbox, now + 1)).map(({ taskId }) => taskId)).toEqual([id]);
  });
});

describe('a unique call', () => {
  const unique = { key: 'account-42', scope: 'running', ttl: '10m' } as const;

  it('gives the second caller the first result, and is sent once', async () => {
    const { app } = makeApp();
    const divide = app.task(Divide).with({ unique });
    const results = await Promise.all(Array.from({ length: 100 }, () => divide.delay(1, 2)));
    expect(new Set(results.map(({ id }) => id)).size).toBe(1);
    expect(await messagesIn(app)).toBe(1);
    const other = await divide.with({ unique: { ...unique, key: 'account-43' } }).delay(1, 2);
    expect(other.id).not.toBe(results[0]?.id);
    expect(
      (
        await divide.delayMany([
          [1, 2],
          [3, 4],
        ])
      ).map(({ id }) => id),
    ).toEqual([results[0]?.id, results[0]?.id]);
  });

  it('carries its key in the message, so that whoever runs it can free it', async () => {
    const { app } = makeApp();
    await app.task(Divide).with({ unique }).delay(1, 2);
    const transport = await app.connectBroker();
    const delivery = await new Promise<Delivery>((resolve, reject) => {
      const onDeliveries = ([first]: readonly Delivery[]): void => resolve(first as Delivery);
      transport.consume({ queue: 'lovage', prefetch: 1, onDeliveries }).catch(reject);
    });
    expect(decodeTask(delivery.message).unique).toEqual({
      scope: 'running',
      key: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
    });
  });
});

describe('requeue', () => {
  it('runs a task that failed once more, under its id', async () => {
    const { app, outbox } = makeApp();
    const { id } = await app.task(Divide).with({ countdown: '1h' }).delay(1, 2);
    await expect(app.requeue(id)).rejects.toMatchObject({
      code: 'LOVAGE_USAGE',
      message: `task ${id} cannot be run once more: expected a FAILURE with its arguments, but it is PENDING`,
    });
    await expect(app.requeue('nobody')).rejects.toThrow('but it is unknown');
    const [row] = await dueBy(outbox, now + 3_600_000);
    await outbox.remove([(row as OutboxMessage).rowId]);
    await (
      await app.resultBackend()
    )?.commit([
      {
        record: {
          ...{
            id,
            task: 'divide',
            state: 'FAILURE',
            attempt: 0,
            argsJson: '[1,2]',
            kwargsJson: '{}',
            resultJson: null,
          },
          ...{ error: { type: 'Error', message: 'down', stack: null }, progressJson: null, retries: 3, queue: 'slow' },
          ...{ worker: 'w', parentId: null, rootId: 'root', groupId: null, runtimeMs: 1, due: null },
        },
        replyTo: null,
        followUps: [],
        uniqueKey: null,
        parkedRow: null,
      },
    ]);
    const again = await app.requeue(id);
    expect(again.id).toBe(id);
    expect(await again.state()).toBe('PENDING');
    expect(await app.results.get(id)).toMatchObject({
      attempt: 1,
      retries: 0,
      error: null,
      finishedAt: null,
      history: [{ state: 'FAILURE', attempt: 0, retries: 3, error: { message: 'down' }, worker: 'w' }],
    });
    const [next] = await dueBy(outbox, now);
    expect(decodeTask((next as OutboxMessage).message)).toMatchObject({
      id,
      attempt: 1,
      retries: 0,
      args: [1, 2],
      queue: 'slow',
      rootId: 'root',
    });
  });
});

describe('an app in inline mode', () => {
  it('runs at once what would wait, and retries without waiting', async () => {
    let runs = 0;
    @Task({ name: 'flaky', retry: { max: 3, backoff: '1h' } })
    class Flaky {
      run(): string {
        runs += 1;
        if (runs < 3) throw new Error('not yet');
        return 'done';
      }
    }
    const app = new Lovage({ results: 'memory:' }).testing({ mode: 'inline' });
    apps.push(app);
    const tx = { query: () => Promise.reject(new Error('not used')) };
    const result = await app.task(Flaky).with({ countdown: '1h', tx }).delay();
    expect(await result.get()).toBe('done');
    expect(await app.results.get(result.id)).toMatchObject({ state: 'SUCCESS', attempt: 2, retries: 2 });
  });
});
