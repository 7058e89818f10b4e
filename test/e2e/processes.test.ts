import { eventually } from '../support/eventually.js';
import { runLovage } from '../support/lovage-process.js';
import { isAlive } from '../support/process-tree.js';
import { APP, ProcessScene } from './processes/process-scene.js';

jest.setTimeout(60_000);

let scene: ProcessScene;

beforeAll(async () => {
  scene = await ProcessScene.open();
});

afterEach(() => scene.endWorkers());
afterAll(() => scene?.close());

const gone = (pids: readonly number[], timeoutMs = 10_000) =>
  eventually(() => expect(pids.filter(isAlive)).toEqual([]), { timeoutMs });

describe('a process that dies', () => {
  it('is replaced, and its tasks finish elsewhere', async () => {
    const worker = await scene.start(2);
    const results = await Promise.all([1, 2, 3, 4].map((n) => scene.send('hold', n)));
    const victim = await scene.begun('hold', 1);
    for (const n of [2, 3, 4]) await scene.begun('hold', n);
    process.kill(victim, 'SIGKILL');
    await eventually(() =>
      expect(worker.reports).toEqual([
        expect.stringMatching(`^Process ${victim} was ended by SIGKILL(, .*)?; starting another in 1 s$`),
      ]),
    );
    for (const n of [1, 2, 3, 4]) await scene.release(n);
    const pids = await Promise.all(results.map((result) => result.get({ timeout: '20s' })));
    expect(pids).not.toContain(victim);
    await eventually(() => expect(worker.children).toHaveLength(2), { timeoutMs: 20_000 });
    expect(worker.children).not.toContain(victim);
    expect(await worker.worker.stop()).toBe(0);
  });

  it('again and again is given more and more time', async () => {
    const worker = await scene.start(1);
    const [first] = worker.children;
    const poison = await scene.send('exit', 10, 9);
    await eventually(
      () =>
        expect(worker.reports.map((text) => text.split('; ')[1])).toEqual([
          'starting another in 1 s',
          'starting another in 2 s',
        ]),
      { timeoutMs: 20_000 },
    );
    expect(worker.reports[0]).toBe(`Process ${first} ended with exit code 9; starting another in 1 s`);
    expect(worker.worker.log.find(({ message }) => message.startsWith('The process ends'))).toMatchObject({
      process: 1,
      message: `The process ends (exit code 9) while processes.exit[${poison.id}] ran: a task called process.exit()? What ran is delivered again`,
    });
    // Nothing runs, so nothing is left undone, and nobody waits for the next one.
    expect(await worker.worker.stop()).toBe(0);
    await scene.release(10);
    const successor = await scene.start(1);
    expect(await poison.get({ timeout: '10s' })).toBe(successor.children[0]);
  });

  it('at the very start ends all of it, as it would end a single worker', async () => {
    const env = { ...scene.env, LOVAGE_RESULTS: 'postgres://nobody:secret@127.0.0.1:1/none' };
    const argv = ['worker', '--no-retry', '-A', APP];
    const [single, several] = [await runLovage(argv, { env }), await runLovage([...argv, '--processes', '3'], { env })];
    expect(single).toMatchObject({ code: 3 });
    expect(several).toMatchObject({ code: 3, stdout: '' });
    expect(several.stderr.slice(several.stderr.indexOf('error:'))).toBe(
      single.stderr.slice(single.stderr.indexOf('error:')),
    );
    // One went ahead: the others were not started.
    expect(several.stderr.match(/LOVAGE_RESULTS_UNAVAILABLE/g)).toHaveLength(1);
    expect(several.stderr).not.toContain('secret');
  });

  it('because somebody told it to ends well before it is replaced', async () => {
    const worker = await scene.start(1);
    const held = await scene.send('hold', 20);
    const pid = await scene.begun('hold', 20);
    process.kill(pid, 'SIGTERM');
    await eventually(() => expect(worker.events('worker:stopping')).toHaveLength(1));
    await scene.release(20);
    expect(await held.get({ timeout: '10s' })).toBe(pid);
    await eventually(() => expect(worker.events('worker:ready')).toHaveLength(2), { timeoutMs: 20_000 });
    expect(await scene.pidsOf('hold', 20)).toEqual([pid]);
    expect(await worker.worker.stop()).toBe(0);
  });
});

describe('a stop', () => {
  it('lets running tasks end', async () => {
    const worker = await scene.start(2);
    const children = worker.children;
    const held = await scene.send('hold', 21);
    const pid = await scene.begun('hold', 21);
    worker.signal('SIGTERM');
    await eventually(() => expect(worker.events('worker:stopping')).toHaveLength(2));
    await scene.release(21);
    expect(await worker.worker.ended).toBe(0);
    expect(await held.get()).toBe(pid);
    expect(children.filter(isAlive)).toEqual([]);
  });

  it('asked for twice hands back what runs', async () => {
    const worker = await scene.start(2);
    const children = worker.children;
    const held = await scene.send('hold', 22);
    await scene.begun('hold', 22);
    worker.signal('SIGTERM');
    await eventually(() => expect(worker.events('worker:stopping')).toHaveLength(2));
    worker.signal('SIGTERM');
    expect(await worker.worker.ended).toBe(7);
    expect(children.filter(isAlive)).toEqual([]);
    expect(await held.state()).toBe('PENDING');
    const successor = await scene.start(1);
    await scene.release(22);
    expect(await held.get({ timeout: '10s' })).toBe(successor.children[0]);
  });

  it('before anything is ready ends all of it', async () => {
    const worker = await scene.start(1);
    const { children } = worker;
    // It logs that it is ready, then tells its supervisor, then runs tasks.
    await (await scene.send('record', 31)).get({ timeout: '10s' });
    process.kill(children[0] as number, 'SIGKILL');
    await eventually(() => expect(worker.reports).toHaveLength(1));
    await eventually(() => expect(worker.children).not.toHaveLength(0));
    worker.signal('SIGTERM');
    expect(await worker.worker.ended).toBe(0);
    expect(worker.children).toEqual([]);
  });
});

describe('when the supervisor is killed', () => {
  it('its processes let their tasks end, and end', async () => {
    const worker = await scene.start(2);
    const { children } = worker;
    expect(children).toHaveLength(2);
    const held = await scene.send('hold', 23);
    await scene.begun('hold', 23);
    await worker.worker.kill();
    await scene.release(23);
    await gone(children);
    expect(children).toContain(await held.get());
  });
});

describe('a process that has had enough', () => {
  it('of tasks is replaced, with none lost and none run twice', async () => {
    const worker = await scene.start(2, ['--max-tasks-per-child', '20', '-c', '2']);
    const pids = new Set<number>();
    let sent = 0;
    while (pids.size < 6) {
      const calls = Array.from({ length: 20 }, () => [1_000 + sent++] as [n: number]);
      const results = await scene.app.task<[n: number], number>('processes.record').delayMany(calls);
      for (const result of results) pids.add(await result.get({ timeout: '20s' }));
    }
    const { rows } = await scene.db.query(
      'SELECT count(*)::int AS runs, count(DISTINCT n)::int AS tasks FROM ledger WHERE n >= 1000',
    );
    expect(rows).toEqual([{ runs: sent, tasks: sent }]);
    expect(worker.reports.filter((text) => text.endsWith('has run 20 tasks: starting its successor'))).not.toHaveLength(
      0,
    );
    expect(worker.reports.filter((text) => /ended/.test(text))).toEqual([]);
    expect(await worker.worker.stop()).toBe(0);
  });

  it('of memory has a successor, and ends once its own tasks have', async () => {
    const worker = await scene.start(1);
    const { children } = worker;
    expect(await worker.worker.stop()).toBe(0);
    expect(children.filter(isAlive)).toEqual([]);

    // Any process uses more: each has a successor as soon as the one before it has ended.
    const small = await scene.start(1, ['--max-memory-per-child', '1MB']);
    const held = await scene.send('hold', 24);
    const old = await scene.begun('hold', 24);
    await eventually(
      () =>
        expect(
          small
            .events('worker:stopping')
            .map(({ message }) => message)
            .join(),
        ).toContain(`:${old} is stopping`),
      { timeoutMs: 20_000 },
    );
    const recorded = await scene.send('record', 2);
    expect(await recorded.get({ timeout: '20s' })).not.toBe(old);
    expect(small.children).toContain(old);
    await scene.release(24);
    expect(await held.get({ timeout: '10s' })).toBe(old);
    await gone([old]);
    expect(await scene.pidsOf('hold', 24)).toEqual([old]);
    expect(await small.worker.stop()).toBe(0);
  });
});

describe('what takes some seconds to be seen', () => {
  // Side by side, each on a queue of its own.
  it('is seen: that the supervisor of a process which is stuck in a loop is gone, and that a process does not consume', async () => {
    await Promise.all([stuckEndsWithItsSupervisor(), healthIsThatOfAll()]);
  });

  async function stuckEndsWithItsSupervisor(): Promise<void> {
    const worker = await scene.start(1, ['--shutdown-timeout', '0s']);
    const { children } = worker;
    await scene.send('spin', 30, 60_000);
    await scene.begun('spin', 30);
    await scene.release(30);
    await worker.worker.kill();
    await gone(children, 20_000);
  }

  async function healthIsThatOfAll(): Promise<void> {
    const worker = await scene.start(2, ['-Q', 'idle', '--health-port', '0', '--health-host', '127.0.0.1']);
    const port = worker.events('health:serving')[0]?.['port'] as number;
    const ask = async (probe: string): Promise<[number, string]> => {
      const response = await fetch(`http://127.0.0.1:${port}${probe}`);
      return [response.status, await response.text()];
    };
    await eventually(async () => expect(await ask('/readyz')).toEqual([200, 'ok\n']));
    // As a task does that never awaits.
    const stuck = worker.children[0] as number;
    process.kill(stuck, 'SIGSTOP');
    await eventually(async () => expect(await ask('/readyz')).toEqual([503, '1 of 2 processes do not consume\n']), {
      timeoutMs: 10_000,
    });
    expect(await ask('/livez')).toEqual([200, 'ok\n']);
    process.kill(stuck, 'SIGCONT');
    await eventually(async () => expect(await ask('/readyz')).toEqual([200, 'ok\n']));
    process.kill(stuck, 'SIGKILL');
    await eventually(async () => expect(await ask('/readyz')).toEqual([503, '1 of 2 processes do not consume\n']));
    await eventually(async () => expect(await ask('/readyz')).toEqual([200, 'ok\n']), { timeoutMs: 20_000 });
    expect(await worker.worker.stop()).toBe(0);
  }
});
