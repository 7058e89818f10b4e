import { randomUUID } from 'node:crypto';
import { tempTree } from '../../core/test/temp-tree.js';
import { runMain, type Ran, type RunOptions } from '../test/run-main.js';

const APP = `
const { Lovage } = require('@lovage/core');
const options = { name: 'shop', broker: process.env.TEST_BROKER, results: 'memory://main-test' };
exports.app = new Lovage(options).autodiscover(['math'], { from: __filename });
`;
const TASKS = `
const { Task } = require('@lovage/core');
class Divide { run(x, y) { return x / y; } }
class Log { run() {} }
Task({ name: 'math.divide', params: ['x', 'y'] })(Divide);
Task({ name: 'math.log', queue: 'slow', ignoreResult: true, retry: { max: 5 } })(Log);
module.exports = { Divide, Log };
`;

let files: Readonly<Record<string, string>>;
beforeEach(() => {
  process.env['TEST_BROKER'] = `memory://${randomUUID()}`;
  files = { 'app.js': APP, 'math/tasks.js': TASKS };
});
afterEach(() => delete process.env['TEST_BROKER']);

// A folder for each run, as the app of the one before has been stopped.
const lovage = (argv: readonly string[], options: RunOptions = {}): Promise<Ran> =>
  runMain(argv, { cwd: tempTree(files), ...options });

describe('the command line', () => {
  it('shows its help', async () => {
    const { code, stdout, stderr } = await lovage(['--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const name of 'worker relay migrate call result retry scheduled list status purge shell run'.split(' ')) {
      expect(stdout).toContain(`lovage ${name}`);
    }
  });

  it('shows the version', async () => {
    expect(await lovage(['--version'])).toEqual({ code: 0, stdout: '0.1.0\n', stderr: '' });
  });

  it('without a command is a wrong use', async () => {
    const { code, stdout, stderr } = await lovage([]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain('Commands:');
  });

  it.each(['worker', 'relay', 'migrate', 'call', 'result', 'retry', 'list', 'status', 'purge', 'shell', 'run'])(
    '%s --help has examples',
    async (name) => {
      const { code, stdout } = await lovage([name, '--help']);
      expect(code).toBe(0);
      expect(stdout).toMatch(new RegExp(`Examples:\\n +lovage ${name}`));
    },
  );

  it.each([
    [['wroker'], 'unknown command wroker (did you mean worker?). Help: lovage --help'],
    [['frobnicate'], 'unknown command frobnicate. Help: lovage --help'],
    [
      ['worker', '--concurency', '5'],
      'unknown option --concurency (did you mean --concurrency?). Help: lovage worker --help',
    ],
    [['list', 'more'], 'unexpected argument more. Help: lovage list --help'],
    [['call', 'a', '--x', '1'], 'unknown option --x. Help: lovage call --help'],
    [['call'], 'an argument is missing. Help: lovage call --help'],
    [['call', 'x', '--queue'], 'expected a value after --queue, got none. Help: lovage call --help'],
    [['call', 'x', '--wait=5'], '--wait takes no value, got "5". Help: lovage call --help'],
    [['call', 'x', '--timeout', '5s'], '--timeout says how long to wait: add --wait'],
    [['call', 'x', '--priority', '256'], 'expected --priority to be an integer from 0 to 255, got "256"'],
    [['call', 'x', '{"a"'], 'expected argument 1 to be JSON, got "{\\"a\\""'],
    [['worker', '-c', '0'], 'expected --concurrency to be an integer ≥ 1, got "0"'],
    [['worker', '--processes', '0'], 'expected --processes to be an integer ≥ 1, got "0"'],
    [['worker', '--processes', '2', '-c', '0'], 'expected --concurrency to be an integer ≥ 1, got "0"'],
    [['worker', '--max-tasks-per-child', 'many'], 'expected --max-tasks-per-child to be an integer ≥ 1, got "many"'],
    [
      ['worker', '--max-memory-per-child', '400'],
      `expected --max-memory-per-child to be a size with its unit, such as '400MB' or '512MiB', got "400"`,
    ],
    [['worker', '--health-port', '70000'], 'expected --health-port to be an integer from 0 to 65535, got "70000"'],
    [['worker', '--health-host', '127.0.0.1'], 'expected --health-port beside --health-host'],
    [['worker', '-l', 'loud'], 'expected --loglevel to be one of error, warn, info, debug, got "loud"'],
    [['worker', '--logformat', 'xml'], 'expected --logformat to be one of text, json, got "xml"'],
    [['worker', '-Q', 'a,,b'], 'expected --queues to be names with commas between them, got "a,,b"'],
    [['worker', '--shutdown-timeout', 'soon'], 'expected --shutdown-timeout to be a duration'],
    [['list', '-A', './nowhere'], "no app at './nowhere'"],
    [['run', 'nowhere.ts'], 'there is no script'],
    [['shell', '-e', 'const ='], 'the code cannot be parsed'],
    [['purge'], 'purge deletes messages for good and there is nobody to ask: add --force'],
  ])('%j is a wrong use that is named', async (argv, message) => {
    const { code, stdout, stderr } = await lovage(argv);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(`error: ${message}`);
  });

  it('takes the last of an option given twice', async () => {
    const { stderr } = await lovage(['worker', '-l', 'info', '-l', 'loud']);
    expect(stderr).toContain('got "loud"');
  });

  it.each([
    [{ isTTY: true }, true],
    [{ isTTY: true, env: { NO_COLOR: '1' } }, false],
    [{ isTTY: true, env: { TERM: 'dumb' } }, false],
    [{}, false],
    [{ env: { FORCE_COLOR: '1' } }, true],
  ])('with %j colours are shown: %s', async (options, colored) => {
    const { stderr } = await lovage(['wroker'], options);
    expect(stderr.includes('\u001b[31m')).toBe(colored);
  });
});

describe('list', () => {
  it('shows the tasks in columns', async () => {
    const { code, stdout } = await lovage(['list']);
    expect({ code, lines: stdout.split('\n') }).toEqual({
      code: 0,
      lines: [
        'TASK         QUEUE   PARAMS  CLASS   OPTIONS',
        'math.divide  lovage  x, y    Divide',
        'math.log     slow    -       Log     ignoreResult, retry up to 5',
        '',
      ],
    });
  });

  it('prints JSON', async () => {
    expect(JSON.parse((await lovage(['list', '--json'])).stdout)).toEqual([
      {
        name: 'math.divide',
        queue: 'lovage',
        params: ['x', 'y'],
        options: { ignoreResult: false, retry: null },
        class: 'Divide',
      },
      {
        name: 'math.log',
        queue: 'slow',
        params: null,
        options: { ignoreResult: true, retry: { max: 5 } },
        class: 'Log',
      },
    ]);
  });

  it('names a task module that cannot be imported', async () => {
    files = { 'app.js': APP, 'math/tasks.js': 'throw new TypeError("broken here")' };
    const { code, stderr } = await lovage(['list']);
    expect(code).toBe(2);
    expect(stderr).toContain('math/tasks.js');
    expect(stderr).toContain('broken here');
  });

  it('names a key that is misspelt', async () => {
    files = { 'app.js': "exports.app = new (require('@lovage/core').Lovage)({ brokr: 'memory://' })" };
    const { code, stderr } = await lovage(['list']);
    expect(code).toBe(2);
    expect(stderr).toContain('brokr');
    expect(stderr).toContain('broker');
  });
});

describe('call', () => {
  it('prints the id', async () => {
    expect(await lovage(['call', 'math.divide', '1', '2', '--id', 'my-id'])).toEqual({
      code: 0,
      stdout: 'my-id\n',
      stderr: '',
    });
  });

  it('prints JSON', async () => {
    const { stdout } = await lovage(['call', 'math.divide', '--json', '--id', 'my-id', '--kwargs', '{"x":1,"y":2}']);
    expect(JSON.parse(stdout)).toEqual({ id: 'my-id', task: 'math.divide' });
  });

  it('refuses a task that the app does not have, and tells its like', async () => {
    const { code, stderr } = await lovage(['call', 'math.devide']);
    expect(code).toBe(2);
    expect(stderr).toContain("no task of this app is named 'math.devide': did you mean math.divide?");
  });

  it('sends a task whose code is elsewhere to the queue that is named', async () => {
    expect((await lovage(['call', 'py.resize', '7', '-Q', 'images'])).code).toBe(0);
    expect((await lovage(['purge', '-Q', 'images', '--force'])).stdout).toBe('images: 1 message deleted\n');
  });

  it('runs out of time', async () => {
    const { code, stderr } = await lovage(['call', 'math.divide', '1', '2', '--wait', '--timeout', '20ms']);
    expect(code).toBe(6);
    expect(stderr).toContain('LOVAGE_RESULT_TIMEOUT');
  });
});

describe('result', () => {
  it('has no record', async () => {
    expect(await lovage(['result', 'nope'])).toEqual({
      code: 5,
      stdout: '',
      stderr: 'no record of nope: unknown, or not finished\n',
    });
    expect(await lovage(['result', 'nope', '--json'])).toMatchObject({
      code: 5,
      stdout: '{"id":"nope","state":null}\n',
    });
  });

  it('needs an app with results', async () => {
    files = { 'app.js': "exports.app = new (require('@lovage/core').Lovage)({ broker: 'memory://' })" };
    const { code, stderr } = await lovage(['result', 'nope']);
    expect(code).toBe(2);
    expect(stderr).toContain('LOVAGE_RESULTS_NOT_CONFIGURED');
  });
});

describe('purge', () => {
  beforeEach(async () => {
    await lovage(['call', 'math.divide', '1', '2']);
    expect(await lovage(['call', 'math.log'])).toMatchObject({ code: 0, stderr: '' });
  });

  it.each(['y\n', 'YES\n'])('deletes after the answer %j', async (input) => {
    const { code, stdout, stderr } = await lovage(['purge'], { isTTY: true, input, env: { NO_COLOR: '1' } });
    expect(stderr).toContain('Delete 2 messages from lovage (1), slow (1) at memory://');
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'lovage: 1 message deleted\nslow: 1 message deleted\n' });
  });

  it.each(['n\n', '\n', ''])('deletes nothing after the answer %j', async (input) => {
    const { code, stdout, stderr } = await lovage(['purge'], { isTTY: true, input });
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain('nothing was deleted');
    expect((await lovage(['purge', '--force', '--json'])).stdout).toBe(
      '[{"queue":"lovage","messages":1},{"queue":"slow","messages":1}]\n',
    );
  });

  it('names a queue that is not there', async () => {
    const { code, stderr } = await lovage(['purge', '-Q', 'lovage,slwo', '--force']);
    expect(code).toBe(3);
    expect(stderr).toContain('the broker has no queue slwo');
  });
});

describe('status', () => {
  it('shows the queues with those beside them', async () => {
    await lovage(['call', 'math.divide', '1', '2']);
    const { code, stdout } = await lovage(['status', '--json']);
    expect({ code, stdout }).toMatchObject({ code: 0 });
    const { broker, results } = JSON.parse(stdout) as { broker: { queues: object[] }; results: object };
    expect(broker.queues).toContainEqual({ name: 'lovage', depth: { messages: 1, consumers: 0 } });
    expect(broker.queues).toContainEqual({ name: 'slow.dead', depth: null });
    expect(results).toMatchObject({ reachable: true, error: null });
  });
});

describe('worker', () => {
  it('shows its banner as a log line in JSON, and stops on a signal', async () => {
    const { code, stdout, stderr } = await lovage(['worker', '--logformat', 'json', '-c', '3'], {
      onSignals: (send) => setImmediate(() => send('SIGTERM')),
    });
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
    const lines = stderr
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
    expect(lines[0]).toMatchObject({
      event: 'worker:starting',
      app: 'shop',
      queues: ['lovage', 'slow'],
      concurrency: 3,
      prefetch: null,
      tasks: ['math.divide', 'math.log'],
    });
    expect(lines.at(-1)).toMatchObject({ event: 'worker:stopped' });
  });

  it('shows that it has no broker, and says how to come by one', async () => {
    files = { 'app.js': "exports.app = new (require('@lovage/core').Lovage)({ name: 'shop' })" };
    const { code, stderr } = await lovage(['worker']);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^ +app +shop\n +broker +none\n +results +none/m);
    expect(stderr).toContain('error: no broker is configured: run `npx lovage dev`');
  });

  it('in JSON, tells what ended it in a line of its own', async () => {
    const argv = ['worker', '--logformat', 'json', '-A', './nowhere'];
    const { code, stderr } = await lovage(argv);
    expect(code).toBe(2);
    expect(JSON.parse(stderr)).toMatchObject({ level: 'error', event: 'worker:failed', code: 'LOVAGE_APP_NOT_FOUND' });
  });
});
