import { Gated } from '../../test/gated-task.js';
import { Rig, messageOf, type RigOptions } from '../../test/rig.js';
import type { LastWords } from './loop-block.js';

const LIMIT_MS = 60_000;
const limited = { timeLimits: { softMs: null, hardMs: LIMIT_MS } };

const rigs: Rig[] = [];

async function start(options: Partial<RigOptions> = {}): Promise<Rig> {
  const rig = new Rig({ tasks: [Gated], worker: { shutdownTimeout: 0 }, ...options });
  rigs.push(rig);
  await rig.worker.start();
  return rig;
}

beforeEach(() => (Gated.runs = []));
afterEach(async () => {
  Gated.release();
  await Promise.all(rigs.splice(0).map((rig) => rig.stop()));
});

const recordOf = async (rig: Rig, id: string) => (await rig.results.find({ ids: [id] }))[0];

/** As they arrive in another process. */
async function wordsOf(rig: Rig): Promise<LastWords> {
  await rig.publish(messageOf('gated', { id: 'a', ...limited }));
  await Gated.running(1);
  const { context } = Gated.run(0);
  expect(rig.worker.endOf(context, null).lastWords).toBeNull();
  rig.runtime.advance(LIMIT_MS + 1);
  return JSON.parse(JSON.stringify(rig.worker.endOf(context, null).lastWords)) as LastWords;
}

it('end a task in place of the process that it blocks, before another one consumes', async () => {
  const blocked = await start();
  const lastWords = [await wordsOf(blocked)];
  expect(lastWords[0]).toMatchObject({ task: 'gated', id: 'a', why: 'beyond its timeLimit of 60 s' });
  const successor = await start({ beside: blocked, worker: { shutdownTimeout: 0, lastWords } });
  expect(successor.of('task:failed')).toMatchObject([
    {
      request: { task: 'gated', id: 'a' },
      error: { code: 'LOVAGE_TIME_LIMIT' },
      runtimeMs: expect.any(Number) as number,
    },
  ]);
  expect(await recordOf(blocked, 'a')).toMatchObject({
    state: 'FAILURE',
    error: { code: 'LOVAGE_TIME_LIMIT', message: 'the task had not ended after 60 s, its timeLimit' },
  });

  // Should it end after all, it has ended before.
  Gated.run(0).gate.resolve('late');
  await blocked.seen('task:duplicate');
  expect(await recordOf(blocked, 'a')).toMatchObject({ state: 'FAILURE' });
});

it('change nothing where the task has ended itself', async () => {
  const blocked = await start();
  const lastWords = [await wordsOf(blocked)];
  Gated.run(0).gate.resolve('just in time');
  await blocked.seen('task:succeeded');
  const successor = await start({ beside: blocked, worker: { shutdownTimeout: 0, lastWords } });
  expect(successor.of('task:failed')).toEqual([]);
  expect(await recordOf(blocked, 'a')).toMatchObject({ state: 'SUCCESS', result: 'just in time' });
});

it('are said of one that has ended without its code, as long as that goes on: it may block the process all the same', async () => {
  const rig = await start();
  await rig.publish(messageOf('gated', { id: 'a', timeLimits: { softMs: null, hardMs: 20 } }));
  await rig.seen('task:failed');
  const { context, gate } = Gated.run(0);
  expect(rig.worker.endOf(context, null).lastWords).toMatchObject({ id: 'a', why: 'beyond its timeLimit of 0.02 s' });
  gate.resolve('late');
  while (rig.worker.strays > 0) await new Promise(setImmediate);
  expect(rig.worker.endOf(context, null)).toEqual({ limitLeftMs: null, lastWords: null });
});

it('are said of one that is to be terminated, whatever its limit, and of no other', async () => {
  const rig = await start();
  await rig.publish(messageOf('gated', { id: 'a', ...limited }), messageOf('gated', { id: 'b' }));
  await Gated.running(2);
  const revocation = { id: 'a', terminate: true, reason: 'wrong prices' };
  const [end, other] = Gated.runs.map(({ context }) => rig.worker.endOf(context, revocation));
  expect(end?.lastWords).toMatchObject({
    id: 'a',
    why: 'that is revoked and to be terminated (wrong prices)',
    completion: { record: { state: 'REVOKED', error: { message: 'wrong prices' } } },
  });
  expect(other).toEqual({ limitLeftMs: null, lastWords: null });
});

it('are not said of a task without a hard limit, of one that has ended, or where nothing is stored', async () => {
  const rig = await start({ results: null });
  await rig.publish(messageOf('gated', { id: 'a', ...limited }), messageOf('gated', { id: 'b' }));
  await Gated.running(2);
  rig.runtime.advance(LIMIT_MS + 1);
  const nothing = { limitLeftMs: null, lastWords: null };
  for (const { context } of Gated.runs) expect(rig.worker.endOf(context, null)).toEqual(nothing);
  expect(rig.worker.endOf({ id: 'c', attempt: 0 }, null)).toEqual(nothing);
});
