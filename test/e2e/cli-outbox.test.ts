import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { eventually } from '../support/eventually.js';
import { type IsolatedBroker, isolatedBroker } from '../support/isolated-broker.js';
import { type IsolatedResults, isolatedResults } from '../support/isolated-results.js';
import { type Ended, LovageProcess, type SpawnOptions } from './cli/spawn-lovage.js';

const APP = path.join(__dirname, 'cli-outbox');
const WAIT = ['--wait', '--timeout', '20s'];

jest.setTimeout(60_000);

let broker: IsolatedBroker;
let results: IsolatedResults;
const running = new Set<LovageProcess>();

beforeAll(async () => {
  [broker, results] = await Promise.all([isolatedBroker(), isolatedResults()]);
  expect(await lovage(['migrate'])).toMatchObject({ code: 0, stderr: '' });
});

afterAll(async () => {
  await Promise.all([...running].map((command) => command.kill()));
  await broker?.drop();
  await results?.drop();
});

function start(argv: readonly string[], options: SpawnOptions = {}): LovageProcess {
  const env = { LOVAGE_BROKER: broker.url, LOVAGE_RESULTS: results.url, FORCE_COLOR: undefined, ...options.env };
  const command = new LovageProcess(argv, { cwd: APP, ...options, env });
  running.add(command);
  void command.ended().then(() => running.delete(command));
  return command;
}

const lovage = (argv: readonly string[], options?: SpawnOptions): Promise<Ended> => start(argv, options).ended();

async function stopped(command: LovageProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<Ended> {
  command.signal(signal);
  return command.ended();
}

describe('a relay alone', () => {
  it('sends what was called while there was no broker', async () => {
    const env = { LOVAGE_BROKER: `amqp://127.0.0.1:${await closedPort()}` };
    const argv = ['call', 'add', '1', '2', '-Q', 'elsewhere', '--countdown', '10ms', '--id', 'no-broker'];
    expect(await lovage(argv, { env })).toMatchObject({ code: 0, stdout: 'no-broker\n', stderr: '' });
    const relay = start(['relay']);
    await relay.says(' ready');
    await eventually(
      async () => {
        const { stdout } = await lovage(['purge', '-Q', 'elsewhere', '--force']);
        expect(stdout).toBe('elsewhere: 1 message deleted\n');
      },
      { timeoutMs: 20_000 },
    );
    const { code, stdout, stderr } = await stopped(relay);
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
    expect(stderr).toMatch(/app +outbox\n +broker +amqp:\/\/\w+:\*\*\*@.*\n +results +postgres:\/\/\w+:\*\*\*@.*\n/);
    expect(stderr).toMatch(/ready\n(?:.*\n)*.*The relay is stopping: SIGTERM\n.*The relay has stopped\n$/);
    expect(stderr).not.toContain(`:${new URL(results.url).password}@`);
  });

  it('without a broker shows its attempts, and Ctrl-C ends them at once', async () => {
    const env = { LOVAGE_BROKER: `amqp://127.0.0.1:${await closedPort()}` };
    const relay = start(['relay'], { env });
    await relay.says('Cannot reach the broker');
    const signalledAt = Date.now();
    expect(await stopped(relay, 'SIGINT')).toMatchObject({ code: 0 });
    expect(Date.now() - signalledAt).toBeLessThan(1_500);
    const { code, stderr } = await lovage(['relay', '--no-retry'], { env });
    expect(code).toBe(3);
    expect(stderr).toContain('(LOVAGE_BROKER_UNAVAILABLE)');
  });
});

describe('what waits', () => {
  let worker: LovageProcess;

  beforeAll(async () => {
    worker = start(['worker']);
    await worker.says(' ready');
  });

  afterAll(async () => expect(await stopped(worker)).toMatchObject({ code: 0 }));

  it.each([[['--countdown', '300ms']], [['--eta', new Date(0).toISOString()]], [['--track']]])(
    'is run when it is due: %j',
    async (flags) => {
      expect(await lovage(['call', 'add', '1', '2', ...flags, ...WAIT])).toMatchObject({ code: 0, stdout: '3\n' });
    },
  );

  it('is shown and cancelled', async () => {
    for (const id of ['one', 'two']) {
      const argv = ['call', 'add', '1', '2', '--eta', '2126-11-24T10:00:00Z', '--id', id];
      expect(await lovage(argv)).toMatchObject({ code: 0, stdout: `${id}\n` });
    }
    expect((await lovage(['result', 'one'])).stdout).toMatch(/^state +PENDING\ndue +2126-11-24T10:00:00\.000Z$/m);
    const { stdout } = await lovage(['scheduled', 'list', '--task', 'add']);
    expect(stdout).toMatch(/^DUE +ID +TASK +QUEUE +RETRIES +ARGS\n/);
    expect(stdout).toMatch(/^2126-11-24T10:00:00\.000Z +one +add +lovage +0 +\[1, ?2\]$/m);
    expect(await lovage(['scheduled', 'cancel', 'one', 'nope'])).toMatchObject({
      code: 1,
      stdout: 'one: cancelled\n',
      stderr: 'nope: does not wait for its time: it is unknown, or waits in its queue\n',
    });
    const { code, stdout: record } = await lovage(['result', 'one']);
    expect(code).toBe(4);
    expect(record).toMatch(/^state +REVOKED$/m);
    expect(await lovage(['scheduled', 'cancel', 'one', 'two'])).toMatchObject({
      code: 1,
      stdout: 'two: cancelled\n',
      stderr: 'one: does not wait for its time: it is REVOKED\n',
    });
    expect(await lovage(['scheduled', 'list', '--task', 'add', '--json'])).toMatchObject({ code: 0, stdout: '[]\n' });
  });

  it('is a retry', async () => {
    expect(await lovage(['call', 'fail', '--id', 'failing'])).toMatchObject({ code: 0 });
    const record = await eventually(
      async () => {
        const { stdout } = await lovage(['result', 'failing']);
        expect(stdout).toMatch(/^state +RETRY\ndue +2\S+Z$/m);
        return stdout;
      },
      { timeoutMs: 20_000 },
    );
    expect(record).toMatch(/^RangeError: not now\n +at Fail\.run/m);
    const { stdout } = await lovage(['scheduled', 'list', '--task', 'fail', '--json']);
    expect(JSON.parse(stdout)).toMatchObject([{ id: 'failing', task: 'fail', queue: 'lovage', retries: 1 }]);
    expect(await lovage(['scheduled', 'cancel', 'failing'])).toMatchObject({ code: 0 });
  });

  it('may have failed before', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'lovage-'));
    const file = path.join(folder, 'file');
    try {
      const call = await lovage(['call', 'read', file, '--id', 'reading', ...WAIT]);
      expect(call).toMatchObject({ code: 4, stdout: '' });
      expect(call.stderr).toContain('failed after 1 retry: RangeError: no ');
      writeFileSync(file, '');
      expect(await lovage(['retry', 'nope', 'reading'])).toMatchObject({
        code: 1,
        stdout: 'reading: read requeued\n',
        stderr: expect.stringMatching(/^error: task nope .* it is unknown \(LOVAGE_USAGE\)\n$/) as string,
      });
      const { code, stdout } = await lovage(['result', 'reading', ...WAIT]);
      expect(code).toBe(0);
      expect(stdout).toMatch(/^state +SUCCESS$/m);
      expect(stdout).toMatch(/^history +FAILURE at 2\S+Z after 1 retry: RangeError: no .*file$/m);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
