import { createSecretKey, generateKeyPairSync } from 'node:crypto';
import {
  MessageSigner,
  Task,
  TaskContext,
  deadQueueOf,
  lostQueueOf,
  type AppOptions,
  type Message,
  type SigningConfig,
} from '@lovage/core';
import { Rig, messageOf } from '../test/rig.js';

const caller = generateKeyPairSync('ed25519');
const worker = generateKeyPairSync('ed25519');
/** A caller's process has its private key, a worker's its own; each verifies the other. */
const KEYS = {
  caller: { caller: caller.privateKey, worker: worker.publicKey },
  worker: { caller: caller.publicKey, worker: worker.privateKey },
};
const callers = new MessageSigner({ keys: KEYS.caller, signWith: 'caller', required: true });
const thief = new MessageSigner({
  keys: { caller: generateKeyPairSync('ed25519').privateKey },
  signWith: 'caller',
  required: true,
});

let ran: string[] = [];

@Task({ name: 'note' })
class Note {
  run(): string {
    const { id, attempt, headers } = TaskContext.current();
    ran.push(`${id} ${attempt}`);
    return JSON.stringify(headers);
  }
}

@Task({ name: 'again', retry: { max: 2, backoff: 0, jitter: false } })
class Again {
  run(): string {
    const { id, attempt, retries } = TaskContext.current();
    ran.push(`${id} ${attempt}`);
    if (retries < 2) throw new RangeError('not yet');
    return 'done';
  }
}

@Task({ name: 'fails' })
class Fails {
  run(): void {
    const { id, attempt } = TaskContext.current();
    ran.push(`${id} ${attempt}`);
    if (attempt === 0) throw new RangeError('the first time');
  }
}

const rigs: Rig[] = [];
let rig: Rig;

function rigOf(signing: SigningConfig, app: AppOptions = {}): Rig {
  const made = new Rig({ tasks: [Note, Again, Fails], app: { signing, ...app } });
  rigs.push(made);
  return made;
}

beforeEach(async () => {
  ran = [];
  rig = rigOf({ keys: KEYS.worker });
  await rig.worker.start();
});
afterEach(async () => {
  await Promise.all(rigs.splice(0).map((each) => each.stop()));
});

async function recordOf(id: string) {
  return (await rig.results.find({ ids: [id] }))[0];
}

const taken = (id: string): readonly Message[] => rig.broker.taken.filter(({ headers }) => headers['id'] === id);

describe('a message that is not signed, or not as it should be', () => {
  const good = callers.sign(messageOf('note', { id: 'target' }));

  it.each<[string, Message, RegExp]>([
    ['unsigned', messageOf('note', { id: 'target' }), /not signed/],
    ['signed by a thief', thief.sign(messageOf('note', { id: 'target' })), /does not hold/],
    ['changed', { ...good, body: Buffer.from('[["more"], {}, null]') }, /does not hold/],
    ['said to be another attempt', { ...good, headers: { ...good.headers, attempt: 7 } }, /does not hold/],
    ['unreadable too', { ...messageOf('note', { id: 'target' }), body: Buffer.from('{') }, /not signed/],
  ])('ends among the dead and touches no record: %s', async (_what, message, reason) => {
    await rig.publish(message);
    const [dead] = await rig.seen('message:dead');
    expect(dead).toMatchObject({ id: 'target', reason: expect.stringMatching(reason) as string });
    const [letter] = await rig.takeDead(1);
    expect(letter?.body).toEqual(message.body);
    expect(letter?.headers).toMatchObject(message.headers);
    expect(rig.results.commits).toEqual([]);
    expect(ran).toEqual([]);
  });

  it('changes nothing of the task whose id it bears, though it says that it was lost', async () => {
    const lost = {
      queue: lostQueueOf('lovage'),
      headers: { id: 'target', task: 'note', 'x-death': [{ reason: 'expired' }] },
    };
    await rig.publish({ ...messageOf('note', { id: 'target' }), ...lost });
    const [dead] = await rig.seen('message:dead');
    expect(dead?.reason).toMatch(/lost: .*cannot be read: it is not signed/);
    expect(await recordOf('target')).toBeUndefined();
  });
});

describe('what a message becomes is signed anew, and runs', () => {
  it('a retry, sent by its worker', async () => {
    await rig.publish(callers.sign(messageOf('again', { id: 'r' })));
    await rig.seen('task:succeeded');
    expect(ran).toEqual(['r 0', 'r 1', 'r 2']);
    expect(taken('r').map(({ headers }) => (headers['signature'] as string).split(':')[0])).toEqual([
      'caller',
      'worker',
      'worker',
    ]);
  });

  it('a retry, sent by a relay', async () => {
    rig.results.loseAnswer = true;
    await rig.publish(callers.sign(messageOf('again', { id: 'r' })));
    await rig.seen('task:retried');
    rig.runtime.advance(15_000);
    await rig.seen('task:succeeded');
    expect(ran).toEqual(['r 0', 'r 1', 'r 2']);
    expect(taken('r')[1]?.headers['republished']).toBe(true);
  });

  it('one that came too early, whose eta is left out', async () => {
    const eta = new Date(rig.runtime.now() + 50);
    await rig.publish(callers.sign(messageOf('note', { id: 'early', eta })));
    await rig.seen('task:succeeded');
    expect(ran).toEqual(['early 1']);
  });

  it('one of a task that nobody knew', async () => {
    await rig.publish(callers.sign(messageOf('late', { id: 'u' })));
    await rig.seen('task:postponed');
    const [row] = await rig.results.outbox.scheduled({ ids: ['u'] });
    expect(row).toBeDefined();
    await rig.seen('task:postponed', 2);
    expect(rig.of('message:dead')).toEqual([]);
  });

  it.each([
    ['countdown', { countdown: 20 }],
    ['track', { track: true }],
    ['unique', { unique: { key: 'k', scope: 'running', ttl: '1m' } }],
    ['a header of its own', { headers: { 'x-tenant': 'a' } }],
  ] as const)('a call with %s', async (_what, options) => {
    await rig.app.task(Note).with(options).delay();
    await rig.seen('task:succeeded');
    expect(ran).toHaveLength(1);
  });

  it('a failure that is run once more', async () => {
    const { id } = await rig.app.task(Fails).delay();
    await rig.seen('task:failed');
    await rig.app.requeue(id);
    await rig.seen('task:succeeded');
    expect(ran).toEqual([`${id} 0`, `${id} 1`]);
  });

  it('a dead letter that somebody has put back, of which the task sees no more than before', async () => {
    const letter = callers.sign(messageOf('note', { id: 'back', headers: { tenant: 'a' } }));
    await rig.publish({ ...letter, queue: deadQueueOf('lovage') });
    const [dead] = await rig.takeDead(1);
    const why = { 'x-lovage-reason': 'unknown', 'x-lovage-queue': 'lovage', 'x-lovage-worker': 'w' };
    await rig.publish({ ...(dead as Message), queue: 'lovage', headers: { ...dead?.headers, ...why, 'x-death': [] } });
    await rig.seen('task:succeeded');
    expect((await recordOf('back'))?.result).toBe('{"tenant":"a"}');
  });
});

it('takes unsigned messages while signing is introduced, and still no forged ones', async () => {
  const lenient = rigOf({ keys: KEYS.worker, required: false });
  await lenient.worker.start();
  await lenient.publish(messageOf('note', { id: 'old' }), thief.sign(messageOf('note', { id: 'forged' })));
  await lenient.seen('task:succeeded');
  await lenient.seen('message:dead');
  expect(ran).toEqual(['old 0']);
});

it('a worker that can only verify says so at its start', async () => {
  const { privateKey: _private, ...rest } = { ...KEYS.caller, caller: caller.publicKey, privateKey: null };
  await expect(rigOf({ keys: rest }).worker.start()).rejects.toMatchObject({
    code: 'LOVAGE_CONFIG',
    message: expect.stringMatching(
      /a worker signs what it sends again.*every key of signing\.keys is public/,
    ) as string,
  });
});

it('runs inline as on the wire', async () => {
  const app = rigOf(
    { keys: { k: createSecretKey(Buffer.alloc(32, 1)) } },
    { broker: 'memory://inline', results: 'memory:' },
  ).app;
  app.testing({ mode: 'inline' });
  const result = await app.task(Again).delay();
  expect(await result.get()).toBe('done');
});

describe('the size of a message', () => {
  it('is an error at its caller, and one that arrives all the same ends among the dead', async () => {
    const small = rigOf({}, { maxMessageSize: 2_000 });
    await small.worker.start();
    await expect(small.app.task('note').delay('x'.repeat(2_000))).rejects.toMatchObject({
      code: 'LOVAGE_PAYLOAD',
      message: expect.stringMatching(/call of note .* at most 2000 bytes \(maxMessageSize\), got 20\d\d/) as string,
    });
    await small.publish(messageOf('note', { id: 'large' }, ['x'.repeat(2_000)]), messageOf('note', { id: 'small' }));
    await small.seen('task:succeeded');
    const [dead] = await small.seen('message:dead');
    expect(dead).toMatchObject({ id: 'large', reason: expect.stringMatching(/at most 2000 bytes/) as string });
    expect(ran).toEqual(['small 0']);
  });
});

it('reads what acceptContent names, and moves other content to the dead letters', async () => {
  const accepting = rigOf({}, { acceptContent: ['application/json', 'application/vnd.shop+json'] });
  await accepting.worker.start();
  const of = (id: string, contentType: string): Message => ({ ...messageOf('note', { id }), contentType });
  await accepting.publish(
    of('vnd', 'application/vnd.shop+json; charset=utf-8'),
    of('pickle', 'application/x-python-serialize'),
  );
  await accepting.seen('task:succeeded');
  const [dead] = await accepting.seen('message:dead');
  expect(dead).toMatchObject({
    id: 'pickle',
    reason: expect.stringMatching(/content type .* is not accepted/) as string,
  });
  expect(ran).toEqual(['vnd 0']);
});
