import { randomUUID } from 'node:crypto';
import {
  MemoryResultBackend,
  MemoryTransport,
  deadQueueOf,
  encodeTask,
  type Message,
  type RecordWrite,
} from '@lovage/core';
import { tempTree } from '../../core/test/temp-tree.js';
import { runMain, type Ran, type RunOptions } from '../test/run-main.js';

const APP = `
const { Lovage } = require('@lovage/core');
const options = { name: 'shop', broker: process.env.TEST_BROKER, results: process.env.TEST_RESULTS || null };
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

let transport: MemoryTransport;
let results: MemoryResultBackend;
beforeEach(async () => {
  process.env['TEST_BROKER'] = `memory://${randomUUID()}`;
  process.env['TEST_RESULTS'] = `memory://${randomUUID()}`;
  transport = new MemoryTransport(process.env['TEST_BROKER']);
  results = new MemoryResultBackend({ url: process.env['TEST_RESULTS'], expiresMs: 60_000 });
  await declare('lovage', 'slow');
});
afterEach(() => {
  delete process.env['TEST_BROKER'];
  delete process.env['TEST_RESULTS'];
});

// A folder for each run, as the app of the one before has been stopped.
const lovage = (argv: readonly string[], options: RunOptions = {}): Promise<Ran> =>
  runMain(argv, { cwd: tempTree({ 'app.js': APP, 'math/tasks.js': TASKS }), ...options });

async function declare(...names: readonly string[]): Promise<void> {
  await transport.declare(names.map((name) => ({ name, type: 'quorum', maxPriority: null, declare: true })));
}

function call(id: string, task = 'math.divide', parts: Partial<Message> = {}): Message {
  const envelope = { id, task, queue: 'lovage', attempt: 0, retries: 0, expires: null, eta: null, parentId: null };
  const rest = { rootId: id, groupId: null, priority: null, shadow: null, ignoreResult: null, replyTo: null };
  const more = { republished: false, unique: null, tracked: false, unknownSince: null, origin: 't', timeLimits: null };
  return { ...encodeTask({ ...envelope, ...rest, ...more, headers: { tenant: 'a' } }, '[1,2]', '{}'), ...parts };
}

/** Puts messages where a worker would have moved them. */
async function bury(...messages: readonly Message[]): Promise<void> {
  const letters = messages.map((message) => ({
    ...message,
    queue: deadQueueOf(message.queue),
    headers: {
      ...message.headers,
      'x-lovage-reason': 'nobody\ncan run it',
      'x-lovage-queue': message.queue,
      'x-lovage-worker': 'shop@host:1',
      'x-lovage-time': '2026-11-24T10:00:00.000Z',
      'x-death': [{ reason: 'delivery_limit' }],
    },
  }));
  expect(await transport.publish(letters)).toEqual(letters.map(() => null));
}

async function messagesIn(queue: string): Promise<readonly Message[]> {
  const found: Message[] = [];
  await transport.capabilities.inspect?.visit(queue, {}, async (message) => {
    found.push(message);
    return 'keep';
  });
  return found;
}

async function idsIn(queue: string): Promise<readonly (string | null)[]> {
  return (await messagesIn(queue)).map(({ correlationId }) => correlationId);
}

async function store(record: Pick<RecordWrite, 'id' | 'state'> & Partial<RecordWrite>): Promise<void> {
  const plain = { task: 'math.divide', queue: 'lovage', attempt: 0, retries: 0, argsJson: null, kwargsJson: null };
  const empty = { resultJson: null, error: null, progressJson: null, worker: null, parentId: null, groupId: null };
  const full = { ...plain, ...empty, rootId: record.id, runtimeMs: null, due: null, ...record };
  expect(
    await results.commit([{ record: full, replyTo: null, followUps: [], uniqueKey: null, parkedRow: null }]),
  ).toEqual(['applied']);
}

const NO_TASK = { headers: {}, correlationId: null, body: Buffer.from('not JSON') };
const SHA = /^sha:[0-9a-f]{12}$/;

describe('dead list', () => {
  it('shows what is there, oldest first, a line each, and leaves it there', async () => {
    await bury(call('a'), call('b', 'math.log', { queue: 'slow' }), call('c', 'x', NO_TASK));
    const { code, stdout } = await lovage(['dead', 'list']);
    expect(code).toBe(0);
    const rows = stdout.trimEnd().split('\n');
    expect(rows[0]).toMatch(/^SINCE +ID +TASK +QUEUE +REASON$/);
    expect(rows[1]).toMatch(/^2026-11-24T10:00:00\.000Z +a +math\.divide +lovage +nobody can run it$/);
    expect(rows[2]).toMatch(/ sha:[0-9a-f]{12} +- +lovage /);
    expect(rows[3]).toMatch(/ b +math\.log +slow /);
    expect(rows).toHaveLength(4);
    expect(await idsIn('lovage.dead')).toEqual(['a', null]);
  });

  it('shows those of one queue, or of one task, and no more than asked for', async () => {
    await bury(call('a'), call('b'), call('c', 'math.log', { queue: 'slow' }));
    const ids = async (...argv: readonly string[]) =>
      (JSON.parse((await lovage(['dead', 'list', '--json', ...argv])).stdout) as { id: string }[]).map(({ id }) => id);
    expect(await ids()).toEqual(['a', 'b', 'c']);
    expect(await ids('-Q', 'slow')).toEqual(['c']);
    expect(await ids('-Q', 'slow.dead,lovage', '--task', 'math.divide')).toEqual(['a', 'b']);
    const { stderr } = await lovage(['dead', 'list', '--limit', '1']);
    expect(stderr).toBe('these are 1 of 3: see --limit\n');
  });

  it('tells that there is none from a queue that is not there', async () => {
    expect(await lovage(['dead', 'list'])).toEqual({
      code: 0,
      stdout: '',
      stderr: 'no dead letter is in lovage.dead, slow.dead\n',
    });
    const { code, stderr } = await lovage(['dead', 'list', '-Q', 'nope']);
    expect(code).toBe(3);
    expect(stderr).toContain('the broker has no queue nope.dead');
  });
});

describe('dead show', () => {
  it('shows why, what came, and how its task stands', async () => {
    await bury(call('a'));
    await store({ id: 'a', state: 'FAILURE' });
    const { code, stdout } = await lovage(['dead', 'show', 'a']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^reason +nobody can run it$/m);
    expect(stdout).toMatch(/^record +FAILURE, attempt 0$/m);
    expect(stdout).toMatch(/^ {2}tenant +'a'$/m);
    expect(stdout).toMatch(/^ {2}\[\[1,2\], \{\}, /m);
    const [shown] = JSON.parse((await lovage(['dead', 'show', 'a', '--json'])).stdout) as object[];
    expect(shown).toMatchObject({ id: 'a', record: { state: 'FAILURE' }, message: { headers: { tenant: 'a' } } });
  });

  it('names what is not there', async () => {
    await bury(call('a'));
    const { code, stderr } = await lovage(['dead', 'show', 'a', 'b']);
    expect({ code, stderr }).toEqual({ code: 1, stderr: 'b: is not in lovage.dead, slow.dead\n' });
  });
});

describe('dead requeue', () => {
  it('puts a message without a record back as it came, marked', async () => {
    const message = call('a');
    await bury(message);
    expect(await lovage(['dead', 'requeue', 'a'])).toEqual({
      code: 0,
      stdout: 'a: math.divide sent to lovage\n',
      stderr: '',
    });
    expect(await messagesIn('lovage')).toEqual([{ ...message, headers: { ...message.headers, republished: true } }]);
    expect(await idsIn('lovage.dead')).toEqual([]);
  });

  it('puts back what is no task message, too: another version may read it', async () => {
    await bury(call('c', 'x', NO_TASK));
    const { stdout } = await lovage(['dead', 'requeue', '--all']);
    const [id = ''] = stdout.split(': message sent to lovage\n');
    expect(id).toMatch(SHA);
    expect(await messagesIn('lovage')).toMatchObject([{ body: NO_TASK.body }]);
  });

  it('runs a failure once more as another attempt, with the arguments that its record lacks', async () => {
    await bury(call('a', 'math.divide', { headers: { ...call('a').headers, expires: '2020-01-01T00:00:00Z' } }));
    await store({ id: 'a', state: 'FAILURE', attempt: 2 });
    expect((await lovage(['dead', 'requeue', 'a'])).stdout).toBe('a: math.divide requeued\n');
    expect(await results.find({ ids: ['a'] })).toMatchObject([
      { state: 'PENDING', attempt: 3, args: [1, 2], history: [{ state: 'FAILURE', attempt: 2 }] },
    ]);
    const { messages = [] } = (await results.capabilities.outbox?.claim(10)) ?? {};
    expect(messages.map(({ message }) => message.headers)).toMatchObject([{ id: 'a', attempt: 3, tenant: 'a' }]);
    expect(messages[0]?.message.headers).not.toHaveProperty('expires');
    expect(await idsIn('lovage.dead')).toEqual([]);
  });

  it('sends nothing twice where it was interrupted before it took the letter out', async () => {
    await bury(call('failed'), call('copy'));
    await store({ id: 'failed', state: 'FAILURE' });
    await lovage(['dead', 'requeue', 'failed', 'copy']);
    // What a crash leaves.
    await bury(call('failed'), call('copy'));
    await store({ id: 'copy', state: 'SUCCESS' });
    const { code, stdout } = await lovage(['dead', 'requeue', '--all']);
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout:
        'failed: math.divide removed: its task is PENDING without it\ncopy: math.divide removed: its task is SUCCESS without it\n',
    });
    expect(await idsIn('lovage')).toEqual(['copy']);
    expect((await results.capabilities.outbox?.claim(10))?.messages).toHaveLength(1);
    expect(await idsIn('lovage.dead')).toEqual([]);
  });

  it('keeps what is revoked, and goes on with the others', async () => {
    await bury(call('late'), call('a'));
    await store({ id: 'late', state: 'REVOKED' });
    const { code, stdout, stderr } = await lovage(['dead', 'requeue', 'late', 'a', 'nope']);
    expect(code).toBe(1);
    expect(stdout).toBe('a: math.divide sent to lovage\n');
    expect(stderr).toBe(
      'late: math.divide kept: its task has ended REVOKED, and is not run any more\nnope: is not in lovage.dead, slow.dead\n',
    );
    expect(await idsIn('lovage.dead')).toEqual(['late']);
  });

  it('comes to an end though what it sends is moved back at once', async () => {
    await bury(call('a'), call('b'));
    const rows = JSON.parse((await lovage(['dead', 'requeue', '--all', '--json'])).stdout) as object[];
    expect(rows).toMatchObject([
      { id: 'a', outcome: 'sent' },
      { id: 'b', outcome: 'sent' },
    ]);
  });

  it('needs no results', async () => {
    delete process.env['TEST_RESULTS'];
    await bury(call('a'));
    expect((await lovage(['dead', 'requeue', '--all'])).stdout).toBe('a: math.divide sent to lovage\n');
  });

  it.each([[[]], [['--all', 'a']]])('takes ids or --all: %j', async (argv) => {
    const { code, stderr } = await lovage(['dead', 'requeue', ...argv]);
    expect(code).toBe(2);
    expect(stderr).toContain('expected ids of dead letters or --all, got');
  });
});

describe('dead purge', () => {
  it('deletes what is named, and nothing else', async () => {
    await bury(call('a'), call('b'), call('c', 'math.log', { queue: 'slow' }));
    expect((await lovage(['dead', 'purge', 'b', '--force'])).stdout).toBe('b: math.divide deleted\n');
    expect(await idsIn('lovage.dead')).toEqual(['a']);
    expect((await lovage(['dead', 'purge', '--all', '--task', 'math.log', '-f'])).stdout).toBe(
      '1 dead letter deleted\n',
    );
    expect([await idsIn('lovage.dead'), await idsIn('slow.dead')]).toEqual([['a'], []]);
  });

  it('asks first, and takes no for an answer', async () => {
    await bury(call('a'));
    const refused = await lovage(['dead', 'purge', '--all'], { isTTY: true, input: 'n\n' });
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('Delete 1 dead letter from lovage.dead, slow.dead at memory://');
    expect(await idsIn('lovage.dead')).toEqual(['a']);
    const agreed = await lovage(['dead', 'purge', '--all'], { isTTY: true, input: 'y\n' });
    expect(agreed).toMatchObject({ code: 0, stdout: '1 dead letter deleted\n' });
    expect(await idsIn('lovage.dead')).toEqual([]);
  });

  it('needs --force where there is nobody to ask', async () => {
    expect((await lovage(['dead', 'purge', '--all'])).stderr).toContain('add --force');
  });
});
