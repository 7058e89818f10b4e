import { eventually } from '../support/eventually.js';
import { ProcessScene, type SupervisedWorker } from './processes/process-scene.js';

jest.setTimeout(60_000);

let scene: ProcessScene;
let worker: SupervisedWorker;

beforeAll(async () => {
  scene = await ProcessScene.open();
});

beforeEach(async () => {
  worker = await scene.startSingle({ LOVAGE_WORKER_BLOCKED_LOOP_WARNING: '300ms' });
});

afterEach(() => scene.endWorkers());
afterAll(() => scene?.close());

const blocks = () => worker.events('loop:blocked');

it('names the task that blocked it, with its code, also where that had awaited before', async () => {
  const { id } = await scene.send('spin', 1, 1_000);
  const [block] = await eventually(() => {
    expect(blocks()).toHaveLength(1);
    return blocks();
  });
  expect(block).toMatchObject({ level: 'warn', task: 'processes.spin', id });
  expect(block?.['blockedMs']).toBeGreaterThan(900);
  expect(block?.['frame']).toMatch(/^compute \(.*tasks\.ts:\d+:\d+\)$/);
  expect(await worker.worker.stop()).toBe(0);
});

it('says so while it lasts, which the task itself keeps the log from doing', async () => {
  const { id } = await scene.send('spin', 2, 600_000);
  await scene.begun('spin', 2);
  await scene.release(2);
  await eventually(() =>
    expect(blocks()[0]?.message).toMatch(
      /^Task processes\.spin\[.*has blocked the event loop for \d\.\d s so far, at compute/,
    ),
  );
  expect(blocks()[0]).toMatchObject({ level: 'warn', task: 'processes.spin', id });
});

it('shows the code of no task, or of one that has ended', async () => {
  await scene.send('haunt', 1_000);
  await eventually(() => expect(blocks()).toHaveLength(1));
  expect(blocks()[0]?.message).toMatch(/^The event loop was blocked for \d\.\d s, at compute \(/);
});

it('takes neither tasks that wait nor a stopped process for one', async () => {
  const held = await scene.send('hold', 10);
  await scene.begun('hold', 10);
  worker.signal('SIGSTOP');
  const stoppedAt = Date.now();
  await eventually(() => expect(Date.now() - stoppedAt).toBeGreaterThan(1_000));
  worker.signal('SIGCONT');
  await scene.release(10);
  await held.get({ timeout: '10s' });
  expect(await worker.worker.stop()).toBe(0);
  expect(blocks()).toEqual([]);
});
