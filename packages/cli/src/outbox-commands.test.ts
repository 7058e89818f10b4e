import { randomUUID } from 'node:crypto';
import { MemoryResultBackend, type RecordWrite } from '@lovage/core';
import { eventually } from '../../../test/support/eventually.js';
import { tempTree } from '../../core/test/temp-tree.js';
import { runMain, type Ran, type RunOptions } from '../test/run-main.js';

const APP = `
const { Lovage } = require('@lovage/core');
const options = { name: 'shop', broker: process.env.TEST_BROKER, results: process.env.TEST_RESULTS };
exports.app = new Lovage(options).autodiscover(['math'], { from: __filename });
`;
const TASKS = `
const { Task } = require('@lovage/core');
class Divide { run(x, y) { return x / y; } }
class Log { run() {} }
Task({ name: 'math.divide', params: ['x', 'y'] })(Divide);
Task({ name: 'math.log', queue: 'slow' })(Log);
module.exports = { Divide, Log };
`;
const WITHOUT_RESULTS = "exports.app = new (require('@lovage/core').Lovage)({ broker: 'memory://' })";

let files: Readonly<Record<string, string>>;
beforeEach(() => {
  process.env['TEST_BROKER'] = `memory://${randomUUID()}`;
  process.env['TEST_RESULTS'] = `memory://${randomUUID()}`;
  files = { 'app.js': APP, 'math/tasks.js': TASKS };
});
afterEach(() => {
  delete process.env['TEST_BROKER'];
  delete process.env['TEST_RESULTS'];
});

// A folder for each run, as the app of the one before has been stopped.
const lovage = (argv: readonly string[], options: RunOptions = {}): Promise<Ran> =>
  runMain(argv, { cwd: tempTree(files), ...options });

async function json<T>(argv: readonly string[]): Promise<T> {
  return JSON.parse((await lovage([...argv, '--json'])).stdout) as T;
}

/** Stores a record, as a worker would. */
async function store(record: Pick<RecordWrite, 'id' | 'state'> & Partial<RecordWrite>): Promise<void> {
  const results = new MemoryResultBackend({ url: process.env['TEST_RESULTS'] ?? '', expiresMs: 60_000 });
  const plain = { task: 'math.divide', queue: 'lovage', attempt: 0, retries: 0, argsJson: '[1,0]', kwargsJson: '{}' };
  const empty = { resultJson: null, error: null, progressJson: null, worker: null, parentId: null, groupId: null };
  const full = { ...plain, ...empty, rootId: record.id, runtimeMs: null, due: null, ...record };
  expect(
    await results.commit([{ record: full, replyTo: null, followUps: [], uniqueKey: null, parkedRow: null }]),
  ).toEqual(['applied']);
}

const ERROR = { type: 'RangeError', message: 'division by zero', stack: null };

describe('call, for later', () => {
  it.each([
    [['--countdown', 'soon'], 'expected --countdown to be a duration ≥ 0'],
    [['--countdown', '-5m'], 'expected --countdown to be a duration ≥ 0'],
    [['--countdown', '40000d'], 'expected --countdown to be a duration of at most 36500d'],
    [['--countdown', '5m', '--eta', '2126-11-24T10:00:00Z'], 'expected --countdown or --eta, got both'],
    ...[
      'tomorrow',
      '5m',
      '2126-11-24',
      '2126-11-24T10:00:00',
      '2126-02-30T10:00:00Z',
      '2126-13-01T10:00:00Z',
      '2126-11-24T25:00:00Z',
      '+300000-01-01T00:00:00Z',
    ].map((eta): [string[], string] => [['--eta', eta], `expected --eta to be an ISO time with its zone`]),
  ])('%j is a wrong use that is named', async (flags, message) => {
    const { code, stdout, stderr } = await lovage(['call', 'math.divide', '1', '2', ...flags]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(`error: ${message}`);
  });

  it.each([[['--countdown', '5m']], [['--eta', '2126-11-24T10:00:00Z']], [['--track']]])(
    '%j needs an app with results',
    async (flags) => {
      files = { 'app.js': WITHOUT_RESULTS };
      const { code, stdout, stderr } = await lovage(['call', 'elsewhere', '-Q', 'lovage', ...flags]);
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
      expect(stderr).toContain('(LOVAGE_RESULTS_NOT_CONFIGURED)');
    },
  );

  it('waits in the outbox for the countdown', async () => {
    const before = Date.now();
    expect(await lovage(['call', 'math.divide', '1', '2', '--countdown', '5m', '--id', 'later'])).toEqual({
      code: 0,
      stdout: 'later\n',
      stderr: '',
    });
    const { state, scheduledAt } = await json<{ state: string; scheduledAt: string }>(['result', 'later']);
    expect(state).toBe('PENDING');
    expect(Date.parse(scheduledAt) - 300_000 - before).toBeGreaterThanOrEqual(0);
    expect(Date.parse(scheduledAt) - 300_000 - Date.now()).toBeLessThanOrEqual(0);
    expect((await lovage(['purge', '-Q', 'lovage', '--force'])).stderr).toContain('the broker has no queue lovage');
  });

  it.each([
    ['2126-11-24T10:00:00Z', '2126-11-24T10:00:00.000Z'],
    ['2126-11-24T10:00+02:00', '2126-11-24T08:00:00.000Z'],
    ['2126-11-24T00:30:00.5+02:00', '2126-11-23T22:30:00.500Z'],
    ['2128-02-29T10:00:00-05:30', '2128-02-29T15:30:00.000Z'],
  ])('waits until %s', async (eta, due) => {
    expect(await lovage(['call', 'math.divide', '1', '2', '--eta', eta, '--id', 'later'])).toMatchObject({ code: 0 });
    expect((await lovage(['result', 'later'])).stdout).toMatch(new RegExp(`^state +PENDING\ndue +${due}$`, 'm'));
  });

  it('--track tells a waiting task from an unknown id, and sends it', async () => {
    expect(await lovage(['call', 'math.divide', '1', '2', '--track', '--id', 'now'])).toMatchObject({ code: 0 });
    const { code, stdout } = await lovage(['result', 'now']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^state +PENDING$/m);
    expect(stdout).not.toMatch(/^due/m);
    expect((await lovage(['purge', '--force', '-Q', 'lovage'])).stdout).toBe('lovage: 1 message deleted\n');
  });

  it('--wait waits for it', async () => {
    const argv = ['call', 'math.divide', '1', '2', '--countdown', '1h', '--wait', '--timeout', '20ms'];
    const { code, stderr } = await lovage(argv);
    expect(code).toBe(6);
    expect(stderr).toContain('LOVAGE_RESULT_TIMEOUT');
  });
});

describe('result', () => {
  it('shows a RETRY with its error and the next time', async () => {
    const due = { at: new Date('2126-11-24T10:00:00Z') };
    await store({ id: 'again', state: 'RETRY', attempt: 2, retries: 2, error: ERROR, due });
    const { code, stdout } = await lovage(['result', 'again']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^state +RETRY\ndue +2126-11-24T10:00:00\.000Z$/m);
    expect(stdout).toMatch(/^retries +2$/m);
    expect(stdout).toMatch(/^RangeError: division by zero$/m);
  });

  it('shows how often a FAILURE was retried', async () => {
    await store({ id: 'failed', state: 'FAILURE', attempt: 3, retries: 3, error: ERROR });
    const { code, stdout } = await lovage(['result', 'failed']);
    expect(code).toBe(4);
    expect(stdout).toMatch(/^state +FAILURE\nargs/m);
    expect(stdout).toMatch(/^retries +3$/m);
    expect(stdout).not.toMatch(/^history/m);
  });
});

describe('retry', () => {
  it('requeues a failed task, and result shows the end that it had', async () => {
    await store({ id: 'failed', state: 'FAILURE', attempt: 2, retries: 2, error: ERROR });
    expect(await lovage(['retry', 'failed'])).toEqual({
      code: 0,
      stdout: 'failed: math.divide requeued\n',
      stderr: '',
    });
    const { code, stdout } = await lovage(['result', 'failed']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^state +PENDING$/m);
    expect(stdout).not.toMatch(/^retries/m);
    expect(stdout).toMatch(/^history +FAILURE at 2\S+Z after 2 retries: RangeError: division by zero$/m);
  });

  it('goes on after one that cannot be', async () => {
    await store({ id: 'done', state: 'SUCCESS' });
    await store({ id: 'large', state: 'FAILURE', argsJson: null });
    await store({ id: 'failed', state: 'FAILURE' });
    const { code, stdout, stderr } = await lovage(['retry', 'done', 'nope', 'large', 'failed', 'failed']);
    expect({ code, stdout }).toEqual({ code: 1, stdout: 'failed: math.divide requeued\n' });
    const reasons = ['task done .* it is SUCCESS', 'task nope .* it is unknown', 'task large .* too large'];
    expect(stderr).toMatch(new RegExp(reasons.map((reason) => `error: ${reason}.* \\(LOVAGE_USAGE\\)\n`).join('')));
  });

  it('takes ids that begin with a dash after --', async () => {
    await store({ id: '-failed', state: 'FAILURE' });
    await store({ id: '7', state: 'FAILURE' });
    const { stdout } = await lovage(['retry', '7', '--', '-failed']);
    expect(stdout).toBe('7: math.divide requeued\n-failed: math.divide requeued\n');
  });

  it('prints JSON', async () => {
    await store({ id: 'failed', state: 'FAILURE' });
    const rows = [
      { id: 'failed', requeued: true, task: 'math.divide', attempt: 1 },
      { id: 'nope', requeued: false, code: 'LOVAGE_USAGE', reason: expect.stringContaining('it is unknown') as string },
    ];
    const { code, stdout, stderr } = await lovage(['retry', 'failed', 'nope', '--json']);
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
    expect(JSON.parse(stdout)).toEqual(rows);
  });

  it('needs an app with results', async () => {
    files = { 'app.js': WITHOUT_RESULTS };
    const { code, stderr } = await lovage(['retry', 'nope']);
    expect(code).toBe(2);
    expect(stderr).toContain('(LOVAGE_RESULTS_NOT_CONFIGURED)');
  });
});

describe('revoke', () => {
  it('ends tasks REVOKED, known or not', async () => {
    await lovage(['call', 'math.divide', '1', '2', '--countdown', '5m', '--id', 'later']);
    expect(await lovage(['revoke', 'later', 'unknown', 'later'])).toEqual({
      code: 0,
      stdout: 'later: revoked\nunknown: revoked\n',
      stderr: '',
    });
    expect((await lovage(['scheduled', 'list'])).stderr).toBe('no task waits for its time\n');
    const { code, stdout } = await lovage(['result', 'later']);
    expect(code).toBe(4);
    expect(stdout).toMatch(/^task +math.divide\nstate +REVOKED$/m);
    expect(stdout).toMatch(/^TaskRevokedError: on request$/m);
    expect((await lovage(['result', 'unknown'])).stdout).toMatch(/^id +unknown\nstate +REVOKED$/m);
  });

  it('goes on after one that has ended, and says so', async () => {
    await store({ id: 'done', state: 'SUCCESS', resultJson: '0.5' });
    const { code, stdout, stderr } = await lovage(['revoke', 'done', 'other', '--reason', 'wrong prices']);
    expect({ code, stdout, stderr }).toEqual({
      code: 1,
      stdout: 'other: revoked\n',
      stderr: 'done: has ended already: it is SUCCESS\n',
    });
    expect((await lovage(['result', 'other'])).stdout).toContain('TaskRevokedError: wrong prices');
  });

  it('prints JSON', async () => {
    await store({ id: 'done', state: 'FAILURE', error: ERROR });
    const { code, stdout } = await lovage(['revoke', 'done', 'other', '--terminate', '--json']);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toEqual([
      { id: 'done', revoked: false, state: 'FAILURE' },
      { id: 'other', revoked: true, state: 'REVOKED' },
    ]);
  });

  it.each([
    [[], 'an argument is missing. Help: lovage revoke --help'],
    [['x', '--terminat'], 'unknown option --terminat (did you mean --terminate?)'],
    [['x', '--reason', ''], 'expected reason to be a text of 1 to 255 characters'],
    [['x'.repeat(256)], 'expected an id to be a string of 1 to 255 characters'],
  ])('%j is a wrong use that is named', async (argv, message) => {
    const { code, stdout, stderr } = await lovage(['revoke', ...argv]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(message);
  });

  it('needs an app with results', async () => {
    files = { 'app.js': WITHOUT_RESULTS };
    const { code, stderr } = await lovage(['revoke', 'x']);
    expect(code).toBe(2);
    expect(stderr).toContain('(LOVAGE_RESULTS_NOT_CONFIGURED)');
  });
});

describe('scheduled', () => {
  const LATER = ['2126-11-24T10:00:00Z', '2126-11-25T10:00:00Z', '2126-11-26T10:00:00Z'] as const;
  const schedule = async (): Promise<void> => {
    for (const argv of [
      ['math.divide', '1', '2', '--eta', LATER[2], '--id', 'third'],
      ['math.log', '--eta', LATER[0], '--id', 'first'],
      ['math.divide', 'x'.repeat(200), '--eta', LATER[1], '--id', 'second', '-Q', 'slow'],
    ]) {
      expect(await lovage(['call', ...argv])).toMatchObject({ code: 0, stderr: '' });
    }
  };

  it.each([
    [[], 'expected a command after scheduled: list, cancel. Help: lovage scheduled --help'],
    [['lsit'], 'unknown command scheduled lsit (did you mean scheduled list?). Help: lovage scheduled --help'],
    [['frobnicate'], 'unknown command scheduled frobnicate. Help: lovage scheduled --help'],
    [['cancel'], 'an argument is missing. Help: lovage scheduled cancel --help'],
    [['list', 'more'], 'unexpected argument more. Help: lovage scheduled list --help'],
    [['list', '--taks', 'x'], 'unknown option --taks (did you mean --task?). Help: lovage scheduled list --help'],
    [['list', '--limit', '0'], 'expected --limit to be an integer ≥ 1, got "0"'],
    [['list', '--task', ''], "expected task to be a task's name"],
  ])('%j is a wrong use that is named', async (argv, message) => {
    const { code, stdout, stderr } = await lovage(['scheduled', ...argv]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(message);
  });

  it('shows its commands, and examples of each', async () => {
    const { code, stdout } = await lovage(['scheduled', '--help']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/lovage scheduled list .*\n +lovage scheduled cancel <ids\.\.> /);
    for (const name of ['list', 'cancel']) {
      expect((await lovage(['scheduled', name, '--help'])).stdout).toMatch(
        new RegExp(`Examples:\\n +lovage scheduled ${name} ?`),
      );
    }
  });

  it('list shows what waits in columns, soonest first', async () => {
    await schedule();
    const { code, stdout, stderr } = await lovage(['scheduled', 'list']);
    expect({ code, stderr, lines: stdout.split('\n') }).toEqual({
      code: 0,
      stderr: '',
      lines: [
        'DUE                       ID      TASK         QUEUE   RETRIES  ARGS',
        '2126-11-24T10:00:00.000Z  first   math.log     slow          0  []',
        `2126-11-25T10:00:00.000Z  second  math.divide  slow          0  ["${'x'.repeat(57)}…`,
        '2126-11-26T10:00:00.000Z  third   math.divide  lovage        0  [1,2]',
        '',
      ],
    });
  });

  it.each([
    [[], ['first', 'second', 'third']],
    [
      ['--task', 'math.divide'],
      ['second', 'third'],
    ],
    [
      ['-Q', 'slow'],
      ['first', 'second'],
    ],
    [['--task', 'math.divide', '--queue', 'slow'], ['second']],
    [['--task', 'other'], []],
  ])('list %j prints JSON', async (flags, ids) => {
    await schedule();
    const { code, stdout, stderr } = await lovage(['scheduled', 'list', '--json', ...flags]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect((JSON.parse(stdout) as { id: string }[]).map(({ id }) => id)).toEqual(ids);
  });

  it('list says that there are more', async () => {
    await schedule();
    const { stdout, stderr } = await lovage(['scheduled', 'list', '--limit', '2']);
    expect(stdout.match(/^2126/gm)).toHaveLength(2);
    expect(stderr).toBe('more wait than these 2: see --limit\n');
    expect((await lovage(['scheduled', 'list', '--limit', '3'])).stderr).toBe('');
  });

  it('list says that nothing waits', async () => {
    expect(await lovage(['scheduled', 'list'])).toEqual({
      code: 0,
      stdout: '',
      stderr: 'no task waits for its time\n',
    });
    expect(await lovage(['scheduled', 'list', '--json'])).toEqual({ code: 0, stdout: '[]\n', stderr: '' });
  });

  it('cancel ends tasks REVOKED', async () => {
    await schedule();
    expect(await lovage(['scheduled', 'cancel', 'first', 'third', 'first'])).toEqual({
      code: 0,
      stdout: 'first: cancelled\nthird: cancelled\n',
      stderr: '',
    });
    expect(await json<object[]>(['scheduled', 'list'])).toMatchObject([{ id: 'second' }]);
    const { code, stdout } = await lovage(['result', 'first']);
    expect(code).toBe(4);
    expect(stdout).toMatch(/^state +REVOKED$/m);
  });

  it('cancel says why one cannot be', async () => {
    await schedule();
    await store({ id: 'done', state: 'SUCCESS' });
    const { code, stdout, stderr } = await lovage(['scheduled', 'cancel', 'done', 'first', 'nope']);
    expect({ code, stdout }).toEqual({ code: 1, stdout: 'first: cancelled\n' });
    expect(stderr.split('\n')).toEqual([
      'done: does not wait for its time: it is SUCCESS',
      'nope: does not wait for its time: it is unknown, or waits in its queue',
      '',
    ]);
  });

  it('cancel prints JSON', async () => {
    await schedule();
    const { code, stdout } = await lovage(['scheduled', 'cancel', '--json', 'first', '--', '-nope']);
    expect({ code, rows: JSON.parse(stdout) as unknown }).toEqual({
      code: 1,
      rows: [
        { id: 'first', cancelled: true },
        { id: '-nope', cancelled: false, state: null },
      ],
    });
  });

  it.each([['list'], ['cancel', 'nope']])('%s needs an app with results', async (...argv) => {
    files = { 'app.js': WITHOUT_RESULTS };
    const { code, stderr } = await lovage(['scheduled', ...argv]);
    expect(code).toBe(2);
    expect(stderr).toContain('(LOVAGE_RESULTS_NOT_CONFIGURED)');
  });
});

describe('relay', () => {
  it('sends what is due, and stops on a signal', async () => {
    let stop: (signal: NodeJS.Signals) => void = () => {};
    const relay = lovage(['relay', '--logformat', 'json'], { onSignals: (send) => (stop = send) });
    await lovage(['call', 'math.divide', '1', '2', '--countdown', '0']);
    await lovage(['call', 'math.divide', '1', '2', '--countdown', '1h']);
    await eventually(async () => {
      const { broker } = await json<{ broker: { queues: object[] } }>(['status']);
      expect(broker.queues).toContainEqual({ name: 'lovage', depth: { messages: 1, consumers: 0 } });
    });
    stop('SIGTERM');
    const { code, stdout, stderr } = await relay;
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
    const lines = stderr
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
    expect(lines[0]).toMatchObject({ event: 'relay:starting', app: 'shop', results: process.env['TEST_RESULTS'] });
    expect(lines).toContainEqual(expect.objectContaining({ event: 'relay:ready' }));
    expect(lines.slice(-2)).toMatchObject([{ event: 'relay:stopping', reason: 'SIGTERM' }, { event: 'relay:stopped' }]);
    expect(await json<object[]>(['scheduled', 'list'])).toHaveLength(1);
  });

  it('shows its banner to a person', async () => {
    const { code, stderr } = await lovage(['relay'], { onSignals: (send) => setImmediate(() => send('SIGINT')) });
    expect(code).toBe(0);
    expect(stderr).toMatch(/^\n lovage \S+ .*\n\n +app +shop\n +broker +memory:\S+\n +results +memory:\S+\n\n/);
    expect(stderr).not.toContain('concurrency');
  });

  it.each([
    [['--loglevel', 'loud'], 'expected --loglevel to be one of'],
    [['--logformat', 'xml'], 'expected --logformat to be one of'],
    [['--queues', 'a'], 'unknown option --queues'],
  ])('%j is a wrong use that is named', async (flags, message) => {
    const { code, stderr } = await lovage(['relay', ...flags]);
    expect(code).toBe(2);
    expect(stderr).toContain(message);
  });

  it('needs an app with results', async () => {
    files = { 'app.js': WITHOUT_RESULTS };
    expect(await lovage(['relay'])).toMatchObject({ code: 2 });
    const { code, stderr } = await lovage(['relay', '--logformat', 'json']);
    expect(code).toBe(2);
    expect(JSON.parse(stderr.trim().split('\n').at(-1) ?? '')).toMatchObject({
      event: 'relay:failed',
      code: 'LOVAGE_RESULTS_NOT_CONFIGURED',
    });
  });
});
