import { setTimeout as sleep } from 'node:timers/promises';
import { createServer } from 'node:net';
import { once } from 'node:events';
import path from 'node:path';
import type { AddressInfo } from 'node:net';
import { type IsolatedBroker, isolatedBroker } from '../support/isolated-broker.js';
import { type IsolatedResults, isolatedResults } from '../support/isolated-results.js';
import { type Ended, LovageProcess, type SpawnOptions } from './cli/spawn-lovage.js';

const QUICKSTART = path.join(__dirname, '../../examples/quickstart');
const BROKEN = path.join(__dirname, 'cli/broken');

jest.setTimeout(60_000);

let broker: IsolatedBroker;
let results: IsolatedResults;
const running = new Set<LovageProcess>();

beforeAll(async () => {
  [broker, results] = await Promise.all([isolatedBroker(), isolatedResults()]);
});

afterAll(async () => {
  await Promise.all([...running].map((command) => command.kill()));
  await broker?.drop();
  await results?.drop();
});

/** Starts a command in the folder of the quickstart. */
function start(argv: readonly string[], options: SpawnOptions = {}): LovageProcess {
  const env = { LOVAGE_BROKER: broker.url, LOVAGE_RESULTS: results.url, FORCE_COLOR: undefined, ...options.env };
  const command = new LovageProcess(argv, { cwd: QUICKSTART, ...options, env });
  running.add(command);
  void command.ended().then(() => running.delete(command));
  return command;
}

const lovage = (argv: readonly string[], options?: SpawnOptions): Promise<Ended> => start(argv, options).ended();

describe('before anything is set up', () => {
  it('status says what is missing, and which command mends it', async () => {
    const { code, stdout } = await lovage(['status']);
    expect(code).toBe(3);
    expect(stdout).toMatch(/^broker .* reachable$/m);
    expect(stdout).toContain('schema lovage is missing: run lovage migrate');
  });

  it('a worker refuses, and says which command mends it', async () => {
    const { code, stderr } = await lovage(['worker']);
    expect(code).toBe(3);
    expect(stderr).toContain('lovage migrate');
    expect(stderr).toContain('(LOVAGE_SCHEMA)');
  });

  it('list needs no server', async () => {
    const env = { LOVAGE_BROKER: 'amqp://nowhere.invalid', LOVAGE_RESULTS: 'postgres://nowhere.invalid/x' };
    const { code, stdout } = await lovage(['list'], { env });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^math\.divide +lovage +x, y +Divide$/m);
  });
});

describe('the walk-through', () => {
  let worker: LovageProcess;

  beforeAll(async () => {
    expect(await lovage(['migrate', '--status'])).toMatchObject({ code: 3 });
    const migrated = await lovage(['migrate']);
    expect(migrated).toMatchObject({ code: 0, stderr: '' });
    expect(migrated.stdout).toMatch(/^applied 001_\w+\n/);
    expect(JSON.parse((await lovage(['migrate', '--json'])).stdout)).toEqual({ applied: [] });
    worker = start(['worker', '--loglevel=INFO']);
    await worker.says(' ready');
  });

  afterAll(async () => {
    worker.signal('SIGTERM');
    const { code, stdout, stderr } = await worker.ended();
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
    expect(stderr).toContain('is stopping: SIGTERM');
  });

  it('opens with a banner that shows no password', () => {
    const { password } = new URL(results.url);
    const banner = worker.stderr.split('\n\n').slice(0, 2).join('\n');
    expect(banner).toMatch(
      /app +quickstart\n +broker +amqp:\/\/guest:\*\*\*@.*\n +results +postgres:\/\/\w+:\*\*\*@.*\n/,
    );
    expect(banner).toMatch(/queues +lovage\n +concurrency +100 \(prefetch adaptive\)\n +tasks +math\.divide/);
    expect(worker.stderr).not.toContain(`:${password}@`);
  });

  it('calls and waits', async () => {
    expect(await lovage(['call', 'math.divide', '1', '2', '--wait'])).toMatchObject({
      code: 0,
      stdout: '0.5\n',
      stderr: '',
    });
  });

  it('shows a failure with the stack of the task', async () => {
    const { code, stdout, stderr } = await lovage(['call', 'math.divide', '--kwargs', '{"x":1,"y":0}', '--wait']);
    expect({ code, stdout }).toEqual({ code: 4, stdout: '' });
    expect(stderr).toMatch(/caused by RangeError: division by zero\n +at Divide\.run .*math\/tasks\.ts/);
  });

  it('shows a record', async () => {
    const { stdout: id } = await lovage(['call', 'math.divide', '1', '0', '--id', 'wrong']);
    expect(id).toBe('wrong\n');
    const { code, stdout } = await lovage(['result', 'wrong', '--wait']);
    expect(code).toBe(4);
    expect(stdout).toMatch(/^state +FAILURE\nargs +\[ 1, 0 \]$/m);
    expect(stdout).toMatch(/^RangeError: division by zero\n +at Divide\.run/m);
    const json = await lovage(['result', 'wrong', '--json']);
    expect(JSON.parse(json.stdout)).toMatchObject({
      id: 'wrong',
      state: 'FAILURE',
      args: [1, 0],
      error: { type: 'RangeError' },
    });
    expect(await lovage(['result', 'right'])).toMatchObject({ code: 5 });
  });

  it('runs code with the tasks in scope', async () => {
    const once = await lovage(['shell', '--eval', 'await (await app.task(Divide).delay(3, 4)).get()']);
    expect(once).toMatchObject({ code: 0, stdout: '0.75\n' });
    const input = `
      import { basename } from 'node:path';
      const sent: { id: string } = await tasks['math.divide'].delay(1, 8);
      console.log(await app.result(sent.id).get(), basename(process.cwd()));
    `;
    expect(await lovage(['shell'], { input })).toMatchObject({ code: 0, stdout: '0.125 quickstart\n' });
    expect(await lovage(['shell', '-e', 'throw new RangeError("mine")'])).toMatchObject({ code: 1 });
    expect(await lovage(['shell', '-e', 'const =']).then(({ code }) => code)).toBe(2);
  });

  it('runs the caller', async () => {
    const { code, stdout } = await lovage(['run', 'send.ts']);
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^sent [0-9a-f-]{36}\nPENDING\nPENDING\nSUCCESS 0\.5\nFAILURE\ntrue RangeError: division by zero\n +at Divide\.run/,
    );
  });

  it('shows who consumes', async () => {
    const { code, stdout } = await lovage(['status', '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      app: 'quickstart',
      broker: { reachable: true, error: null },
      results: { reachable: true, error: null, schema: { pending: [] } },
    });
    const { broker: shown } = JSON.parse(stdout) as { readonly broker: { readonly queues: readonly object[] } };
    expect(shown.queues).toContainEqual({ name: 'lovage', depth: { messages: 0, consumers: 1 } });
    expect(shown.queues).toContainEqual({ name: 'lovage.dead', depth: { messages: 0, consumers: 0 } });
  });

  it('purges what waits', async () => {
    expect(await lovage(['call', 'elsewhere', '-Q', 'idle'])).toMatchObject({ code: 0 });
    expect(await lovage(['purge', '-Q', 'idle'])).toMatchObject({ code: 2 });
    expect(await lovage(['purge', '-Q', 'idle', '--force'])).toMatchObject({
      code: 0,
      stdout: 'idle: 1 message deleted\n',
    });
  });

  it('waits for a running task, and at the second signal no longer', async () => {
    const busy = start(['worker', '-Q', 'busy']);
    await busy.says(' ready');
    for (const id of ['busy-1', 'busy-2']) await lovage(['call', 'math.divide', '1', '2', '-Q', 'busy', '--id', id]);
    await busy.says('busy-2] received');
    // One Ctrl-C, as the terminal sends it and npm passes it on; then another, later than any such copy.
    busy.signal('SIGINT');
    busy.signal('SIGINT');
    await busy.says('running task');
    await sleep(300);
    busy.signal('SIGINT');
    const { code, stderr } = await busy.ended();
    expect(stderr).toMatch(/Waiting up to 25 s for [12] running tasks?; SIGINT again to stop at once/);
    expect(code).toBe(7);
  });
});

describe('who reads', () => {
  it('may hear enough', async () => {
    const command = start(['--help']);
    command.stopReading();
    expect(await command.ended()).toMatchObject({ code: 0, stderr: '' });
  });

  it('may stop reading the log of a worker, which goes on', async () => {
    const worker = start(['worker', '-Q', 'unheard']);
    await worker.says(' ready');
    worker.stopReading();
    const called = await lovage(['call', 'math.divide', '1', '2', '-Q', 'unheard', '--wait', '--timeout', '20s']);
    expect(called).toMatchObject({ code: 0, stdout: '0.5\n' });
    worker.signal('SIGTERM');
    expect(await worker.ended()).toMatchObject({ code: 0 });
  });
});

describe('what is not there', () => {
  it('no broker: visible attempts, and Ctrl-C ends them at once', async () => {
    const worker = start(['worker'], { env: { LOVAGE_BROKER: `amqp://me:secret@127.0.0.1:${await closedPort()}` } });
    await worker.says('Cannot reach the broker');
    const signalledAt = Date.now();
    worker.signal('SIGINT');
    const { code, stderr } = await worker.ended();
    expect(code).toBe(0);
    expect(Date.now() - signalledAt).toBeLessThan(1_500);
    expect(stderr).not.toContain('secret');
  });

  it.each([['worker'], ['call', 'math.divide', '1', '2'], ['purge', '--force']])(
    'no broker, one attempt: %s',
    async (...argv) => {
      const env = { LOVAGE_BROKER: `amqp://me:secret@127.0.0.1:${await closedPort()}` };
      const { code, stderr } = await lovage([...argv, '--no-retry'], { env });
      expect(code).toBe(3);
      expect(stderr).toContain('(LOVAGE_BROKER_UNAVAILABLE)');
      expect(stderr).not.toContain('secret');
    },
  );

  it('no broker and no database: status shows both', async () => {
    const port = await closedPort();
    const env = {
      LOVAGE_BROKER: `amqp://127.0.0.1:${port}`,
      LOVAGE_RESULTS: `postgres://me:secret@127.0.0.1:${port}/x`,
    };
    const { code, stdout } = await lovage(['status'], { env });
    expect(code).toBe(3);
    expect(stdout).toMatch(/^broker .* unreachable: .*\n(?: .*\n)*database .* unreachable: /m);
    expect(stdout).not.toContain('secret');
  });

  it('a wrong password for the broker is not tried again', async () => {
    const url = new URL(broker.url);
    url.password = 'not-it';
    const { code, stderr } = await lovage(['worker'], { env: { LOVAGE_BROKER: url.href } });
    expect(code).toBe(3);
    expect(stderr).toContain('(LOVAGE_ACCESS_REFUSED)');
    expect(stderr).not.toContain('not-it');
  });

  it('a wrong password for the database is not tried again', async () => {
    const url = new URL(results.url);
    url.password = 'not-it';
    const { code, stderr } = await lovage(['migrate'], { env: { LOVAGE_RESULTS: url.href } });
    expect(code).toBe(3);
    expect(stderr).toContain('(LOVAGE_ACCESS_REFUSED)');
    expect(stderr).not.toContain('not-it');
  });

  it('a key that is misspelt', async () => {
    const { code, stderr } = await lovage(['worker'], { env: { LOVAGE_WORKER_CONCURENCY: '5' } });
    expect(code).toBe(2);
    expect(stderr).toContain('LOVAGE_WORKER_CONCURENCY');
    expect(stderr).toContain('LOVAGE_WORKER_CONCURRENCY');
  });

  it('a task module that cannot be imported is named', async () => {
    const { code, stderr } = await lovage(['list'], { cwd: BROKEN });
    expect(code).toBe(2);
    expect(stderr).toContain(path.join(BROKEN, 'sums/tasks.ts'));
    expect(stderr).toContain('ENOENT');
  });

  it('no app, or too many', async () => {
    expect(await lovage(['worker', '-A', './nowhere.ts'])).toMatchObject({ code: 2 });
    const { code, stderr } = await lovage(['list', '-A', path.join(__dirname, 'cli/several/app.ts')]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/one.*two/);
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
