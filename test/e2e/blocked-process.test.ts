import { isLovageError } from 'lovage';
import { eventually } from '../support/eventually.js';
import { isAlive } from '../support/process-tree.js';
import { ProcessScene } from './processes/process-scene.js';

jest.setTimeout(60_000);

let scene: ProcessScene;

beforeAll(async () => {
  scene = await ProcessScene.open();
});

afterEach(() => scene.endWorkers());
afterAll(() => scene?.close());

const SOON = { LOVAGE_WORKER_BLOCKED_LOOP_WARNING: '300ms' };

it('is killed for a task that blocks it beyond its hard limit; that task has ended, the others run again', async () => {
  const worker = await scene.start(1, [], SOON);
  const held = await scene.send('hold', 1);
  const old = await scene.begun('hold', 1);
  const spinning = await scene.send('spinWithin', 2, 600_000);
  await scene.begun('spin', 2);

  const failure: unknown = await spinning.get({ timeout: '30s' }).catch((error: unknown) => error);
  expect(isLovageError(failure, 'LOVAGE_TASK_FAILED')).toBe(true);
  expect((failure as Error).cause).toMatchObject({
    name: 'TimeLimitError',
    message: 'the task had not ended after 1 s, its timeLimit',
  });
  // Its own words, written by the process that came after it.
  const record = await spinning.snapshot();
  expect(record).toMatchObject({ state: 'FAILURE', error: { code: 'LOVAGE_TIME_LIMIT' } });

  // The log of the one that committed it shows it like any other.
  await eventually(() =>
    expect(worker.events('task:failed')).toMatchObject([{ id: spinning.id, error: { code: 'LOVAGE_TIME_LIMIT' } }]),
  );

  const successor = await scene.begun('hold', 1, 2);
  expect(successor).not.toBe(old);
  expect(isAlive(old)).toBe(false);
  await scene.release(1);
  expect(await held.get({ timeout: '10s' })).toBe(successor);
  expect(await scene.pidsOf('spin', 2)).toEqual([old]);
  expect(worker.reports).toEqual([
    `Process ${old} is blocked by task processes.spinWithin[${spinning.id}] beyond its timeLimit of 1 s: it is killed when its successor is ready`,
    `Process ${old} is killed: what else it ran is delivered again`,
  ]);
  expect(await worker.worker.stop()).toBe(0);
});

it('is killed as well for a task that has ended without its code, which goes on and blocks it', async () => {
  const worker = await scene.start(1, [], SOON);
  const spinning = await scene.send('spinAfter', 3, 600_000);
  const old = await scene.begun('spin', 3);
  await expect(spinning.get({ timeout: '10s' })).rejects.toMatchObject({ code: 'LOVAGE_TASK_FAILED' });
  await eventually(() => expect(isAlive(old)).toBe(false), { timeoutMs: 30_000 });
  const next = await scene.send('record', 4);
  await next.get({ timeout: '10s' });
  expect(await scene.pidsOf('spin', 3)).toEqual([old]);
  expect(await worker.worker.stop()).toBe(0);
});

it('is replaced as often as that happens, beside others that go on', async () => {
  const worker = await scene.start(2, ['-c', '1'], SOON);
  const spinning = await Promise.all([10, 11].map((n) => scene.send('spinWithin', n, 600_000)));
  const recorded = await Promise.all([20, 21, 22].map((n) => scene.send('record', n)));
  for (const result of spinning)
    await expect(result.get({ timeout: '40s' })).rejects.toMatchObject({ code: 'LOVAGE_TASK_FAILED' });
  for (const result of recorded) await result.get({ timeout: '20s' });
  for (const n of [10, 11]) expect(await scene.pidsOf('spin', n)).toHaveLength(1);
  await eventually(() => expect(worker.children).toHaveLength(2), { timeoutMs: 20_000 });
  expect(await worker.worker.stop()).toBe(0);
});

it('is killed for a task that blocks it and is to be terminated, once its grace is over; the others run again', async () => {
  const worker = await scene.start(1, [], { ...SOON, LOVAGE_REVOCATIONS_GRACE: '500ms' });
  const held = await scene.send('hold', 40);
  const old = await scene.begun('hold', 40);
  const spinning = await scene.send('spin', 41, 600_000);
  await scene.begun('spin', 41);
  await spinning.revoke({ terminate: true, reason: 'wrong prices' });

  expect(await scene.begun('hold', 40, 2)).not.toBe(old);
  expect(isAlive(old)).toBe(false);
  await scene.release(40);
  await held.get({ timeout: '10s' });
  // What came again of it was not run.
  await eventually(() => expect(worker.events('task:revoked')).toHaveLength(1));
  expect(await scene.pidsOf('spin', 41)).toEqual([old]);
  await expect(spinning.get()).rejects.toThrow(/was revoked: wrong prices$/);
  expect(worker.reports).toEqual([
    `Process ${old} is blocked by task processes.spin[${spinning.id}] that is revoked and to be terminated (wrong prices): it is killed when its successor is ready`,
    `Process ${old} is killed: what else it ran is delivered again`,
  ]);
  expect(worker.events('warning')).toEqual([]);
  expect(await worker.worker.stop()).toBe(0);
});

it('of a task that has no limit is let be, also if it is revoked and not to be terminated', async () => {
  const worker = await scene.start(1, [], { ...SOON, LOVAGE_REVOCATIONS_GRACE: '300ms' });
  const spinning = await scene.send('spin', 30, 2_000);
  await scene.begun('spin', 30);
  await spinning.revoke();
  await eventually(() => expect(worker.events('loop:blocked')).toHaveLength(1), { timeoutMs: 20_000 });
  expect(worker.events('loop:blocked')[0]).toMatchObject({ process: 1, id: spinning.id });
  expect(await spinning.state()).toBe('REVOKED');
  expect(worker.reports).toEqual([]);
  expect(await worker.worker.stop()).toBe(0);
});
