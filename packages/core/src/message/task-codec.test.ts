import { isLovageError } from '../errors/lovage-error.js';
import { uniqueKey } from '../outbox/unique-key.js';
import type { Headers, HeaderValue, Message } from './message.js';
import { decodeTask, encodeTask, resend, taskIdOf } from './task-codec.js';
import type { TaskEnvelope } from './task-request.js';

const envelope: TaskEnvelope = {
  id: '019a0000-0000-7000-8000-000000000001',
  task: 'billing.divide',
  queue: 'lovage',
  attempt: 0,
  retries: 0,
  expires: null,
  eta: null,
  parentId: null,
  rootId: '019a0000-0000-7000-8000-000000000001',
  groupId: null,
  priority: null,
  shadow: null,
  ignoreResult: null,
  timeLimits: null,
  replyTo: null,
  republished: false,
  unique: null,
  tracked: false,
  unknownSince: null,
  origin: '1@host',
  headers: {},
};

/** A message as Celery 5.6.3 sent it (captured), without the follow-ups. */
const fromCelery: Message = {
  queue: 'celery',
  contentType: 'application/json',
  contentEncoding: 'utf-8',
  correlationId: 'd8951d07-f7fa-4468-a34f-1a0c0288ea44',
  replyTo: '04b932ec-031d-340c-9314-0d6596408c12',
  priority: 5,
  headers: {
    lang: 'py',
    task: 'proj.add',
    id: 'd8951d07-f7fa-4468-a34f-1a0c0288ea44',
    shadow: 'alias',
    eta: '2026-11-22T06:19:37.757854+00:00',
    expires: '2026-11-22T06:20:27.757854+00:00',
    group: null,
    group_index: null,
    retries: 0,
    timelimit: [30, 20],
    root_id: 'd8951d07-f7fa-4468-a34f-1a0c0288ea44',
    parent_id: null,
    argsrepr: '(2, 2)',
    kwargsrepr: '{}',
    origin: 'gen12499@vm',
    ignore_result: false,
    replaced_task_nesting: 0,
    stamped_headers: null,
    stamps: {},
    'x-my': 'v',
  },
  body: Buffer.from('[[2, 2], {}, {"callbacks": null, "errbacks": null, "chain": null, "chord": null}]'),
};

const withHeaders = (headers: Headers): Message => ({ ...fromCelery, headers: { ...fromCelery.headers, ...headers } });
const withBody = (body: string): Message => ({ ...fromCelery, body: Buffer.from(body) });

function refusal(message: Message): string {
  try {
    decodeTask(message);
  } catch (error) {
    if (isLovageError(error, 'LOVAGE_MESSAGE')) return error.message;
    throw error;
  }
  return 'not refused';
}

describe('encodeTask', () => {
  it("writes every header of protocol 2, and Celery's body", () => {
    const message = encodeTask({ ...envelope, priority: 3, replyTo: 'channel' }, '[1,2]', '{"x":1}');
    expect({ ...message, body: Buffer.from(message.body).toString() }).toStrictEqual({
      queue: 'lovage',
      contentType: 'application/json',
      contentEncoding: 'utf-8',
      correlationId: envelope.id,
      replyTo: 'channel',
      priority: 3,
      body: '[[1,2], {"x":1}, {"callbacks": null, "errbacks": null, "chain": null, "chord": null}]',
      headers: {
        lang: 'js',
        task: 'billing.divide',
        id: envelope.id,
        group: null,
        retries: 0,
        root_id: envelope.id,
        parent_id: null,
        argsrepr: '[1,2]',
        kwargsrepr: '{"x":1}',
        origin: '1@host',
      },
    });
  });

  it('clips what is only for people', () => {
    const { headers } = encodeTask(envelope, `["${'\ud83d\ude00'.repeat(2_000)}"]`, '{}');
    expect(headers['argsrepr']).toHaveLength(1024);
    expect(Buffer.from(headers['argsrepr'] as string).toString()).toBe(headers['argsrepr']);
  });

  it.each(['task', 'id', 'compression', 'attempt', 'x-death', 'x-delivery-count', '__proto__'])(
    'refuses the header %s from a caller',
    (name) => {
      const headers = JSON.parse(`{"${name}":"x"}`) as Headers;
      expect(() => encodeTask({ ...envelope, headers }, '[]', '{}')).toThrow(`got "${name}", which is reserved`);
    },
  );

  it.each<Partial<TaskEnvelope>>([
    {},
    { attempt: 3, retries: 1 },
    { attempt: 2, retries: 2, republished: true },
    { expires: new Date(1_800_000_000_123), eta: new Date(0), priority: 0, shadow: 'short', ignoreResult: false },
    {
      unique: { scope: 'running', key: uniqueKey('a', 'b') },
      tracked: true,
      unknownSince: new Date(1_800_000_000_123),
    },
    { timeLimits: { softMs: 1_500, hardMs: 20_000 } },
    { timeLimits: { softMs: null, hardMs: 1 } },
    { parentId: 'p', rootId: 'r', groupId: 'g', replyTo: 'c', ignoreResult: true },
    { headers: { 'x-my': 'v', tenant: 7, list: [1, 'a', null], table: { a: true } } },
    { id: 'ünï-\ud83d\ude00', task: 'münze.\ud83d\ude00' },
  ])('%#: is read back by decodeTask', (part) => {
    const sent = { ...envelope, ...part };
    if (part.id !== undefined && part.rootId === undefined) sent.rootId = part.id;
    expect(decodeTask(encodeTask(sent, '[1,{"a":"grün"}]', '{"k":null}'))).toStrictEqual({
      ...sent,
      args: [1, { a: 'grün' }],
      kwargs: { k: null },
    });
  });
});

describe('resend', () => {
  it("sends Celery's message once more as it was, without eta and what the broker wrote", () => {
    const dead = withHeaders({ 'x-death': [{ reason: 'expired' }], 'x-delivery-count': 3, republished: true });
    const again = resend(dead, { attempt: 4, retries: 2, unknownSince: new Date(0) });
    const { eta: _eta, ...headers } = fromCelery.headers;
    expect(again).toStrictEqual({
      ...fromCelery,
      headers: { ...headers, retries: 2, attempt: 4, unknown_since: '1970-01-01T00:00:00.000+00:00' },
    });
    expect(again.body).toBe(fromCelery.body);
    const later = resend(again, { attempt: 5, retries: 5, unknownSince: null });
    expect(later.headers).toStrictEqual({ ...headers, retries: 5 });
  });
});

describe('decodeTask', () => {
  it('reads what Celery sends', () => {
    expect(decodeTask(fromCelery)).toStrictEqual({
      id: 'd8951d07-f7fa-4468-a34f-1a0c0288ea44',
      task: 'proj.add',
      queue: 'celery',
      attempt: 0,
      retries: 0,
      expires: new Date('2026-11-22T06:20:27.757Z'),
      eta: new Date('2026-11-22T06:19:37.757Z'),
      parentId: null,
      rootId: 'd8951d07-f7fa-4468-a34f-1a0c0288ea44',
      groupId: null,
      priority: 5,
      shadow: 'alias',
      ignoreResult: false,
      timeLimits: { softMs: 20_000, hardMs: 30_000 },
      replyTo: '04b932ec-031d-340c-9314-0d6596408c12',
      republished: false,
      unique: null,
      tracked: false,
      unknownSince: null,
      origin: 'gen12499@vm',
      headers: { 'x-my': 'v' },
      args: [2, 2],
      kwargs: {},
    });
  });

  it('needs no more than a task, an id and arguments', () => {
    const bare = { ...fromCelery, headers: { task: 't', id: 'i' }, contentEncoding: '', body: Buffer.from('[[],{}]') };
    expect(decodeTask(bare)).toMatchObject({
      id: 'i',
      rootId: 'i',
      retries: 0,
      attempt: 0,
      eta: null,
      origin: '',
      headers: {},
    });
    expect(decodeTask({ ...bare, headers: { task: 't' }, correlationId: 'c' }).id).toBe('c');
    expect(decodeTask({ ...bare, contentType: 'Application/JSON; charset=utf-8' }).task).toBe('t');
    expect(decodeTask(withHeaders({ expires: '2026-11-22T06:20:27' })).expires).toEqual(
      new Date('2026-11-22T06:20:27Z'),
    );
    expect(decodeTask(withHeaders({ retries: 4 }))).toMatchObject({ retries: 4, attempt: 4 });
  });

  it.each<[HeaderValue, TaskEnvelope['timeLimits']]>([
    [[null, null], null],
    [[30, 0], { softMs: null, hardMs: 30_000 }],
    [[null, 0.0015], { softMs: 2, hardMs: null }],
    [[1e9, -1], { softMs: null, hardMs: 24 * 24 * 3_600_000 }],
    [['30', 5], { softMs: 5_000, hardMs: null }],
    [30, null],
    [[], null],
  ])('reads the time limits %j', (timelimit, limits) => {
    expect(decodeTask(withHeaders({ timelimit })).timeLimits).toEqual(limits);
  });

  it("keeps the broker's own headers out of the caller's", () => {
    const headers = {
      'x-death': [{ count: 1 }],
      'x-first-death-queue': 'q',
      'x-delivery-count': 3,
      'x-opt-a': 1,
      'x-deadline': 1,
    };
    expect(decodeTask(withHeaders(headers)).headers).toStrictEqual({ 'x-my': 'v', 'x-deadline': 1 });
    const hostile = JSON.parse('{"task":"t","id":"i","__proto__":{"polluted":1}}') as Headers;
    const decoded = decodeTask({ ...fromCelery, headers: hostile }).headers;
    expect((decoded as { polluted?: number }).polluted).toBeUndefined();
  });

  it("reads Python's numbers exactly, and a number of JavaScript's as it was", () => {
    const body = '[[9007199254740993, NaN, 1180591620717411303424], {}, null]';
    expect(decodeTask(withBody(body)).args).toEqual([
      { __type__: 'bigint', __value__: '9007199254740993' },
      { __type__: 'float', __value__: 'NaN' },
      1180591620717411303424,
    ]);
    expect(decodeTask(encodeTask(envelope, JSON.stringify([2 ** 60]), '{}')).args).toEqual([2 ** 60]);
  });

  const noFollowUps = '"callbacks": [], "errbacks": null';
  it('takes an embed without follow-ups', () => {
    expect(refusal(withBody(`[[], {}, {${noFollowUps}, "chain": [], "chord": null, "more": 1}]`))).toBe('not refused');
  });

  it.each<[string, Message, string]>([
    ['no JSON', withBody('hello'), 'expected the body to be JSON: '],
    ['an empty body', withBody(''), 'expected the body to be JSON: '],
    ['no UTF-8', { ...fromCelery, body: Buffer.from([0x5b, 0x22, 0xff, 0x22, 0x5d]) }, 'expected the body to be UTF-8'],
    [
      'protocol 1',
      { ...withBody('{"task":"t","id":"i","args":[]}'), headers: {} },
      'it is no message of task protocol 2',
    ],
    [
      'a body that is no array',
      withBody('{"a":1}'),
      'expected the body to be an array [args, kwargs, embed], got an object',
    ],
    [
      'args that are none',
      withBody('[{}, {}]'),
      'expected args (the first item of the body) to be an array, got an object',
    ],
    [
      'kwargs that are none',
      withBody('[[], []]'),
      'expected kwargs (the second item of the body) to be an object, got an array',
    ],
    ['an odd embed', withBody('[[], {}, 1]'), 'expected embed (the third item of the body) to be an object, got 1'],
    [
      'callbacks',
      withBody('[[], {}, {"callbacks": [{}]}]'),
      'it carries follow-ups (callbacks) which this version cannot run',
    ],
    ['a chain and a chord', withBody('[[], {}, {"chain": [{}], "chord": {}}]'), 'it carries follow-ups (chain, chord)'],
    ['too deep a body', withBody(`[[${'['.repeat(5_000)}${']'.repeat(5_000)}], {}]`), 'nest at most 1000 levels'],
    [
      'pickle',
      { ...fromCelery, contentType: 'application/x-python-serialize' },
      'content type "application/x-python-serialize" is not accepted',
    ],
    [
      'no content type',
      { ...fromCelery, contentType: '' },
      'content type "" is not accepted (acceptContent): send application/json',
    ],
    ['another encoding', { ...fromCelery, contentEncoding: 'binary' }, 'content encoding "binary" is not accepted'],
    [
      'compression',
      withHeaders({ compression: 'application/x-gzip' }),
      'compression "application/x-gzip" is not accepted',
    ],
    ['no id', { ...withHeaders({ id: null }), correlationId: null }, 'a task needs an id'],
    ['a long id', withHeaders({ id: 'i'.repeat(256) }), 'expected the id header to be 1 to 255 characters'],
    ['a NUL in the id', withHeaders({ id: 'a\0' }), 'expected the id header'],
    [
      'a task that is no text',
      withHeaders({ task: 3 }),
      'expected the task header to be 1 to 255 characters that can be stored, got 3',
    ],
    ['odd retries', withHeaders({ retries: -1 }), 'expected the retries header to be an integer ≥ 0, got -1'],
    ['an odd attempt', withHeaders({ attempt: '1' }), 'expected the attempt header to be an integer ≥ 0, got "1"'],
    ['a bad eta', withHeaders({ eta: 'soon' }), 'expected the eta header to be an ISO 8601 instant, got "soon"'],
    ['a bad expires', withHeaders({ expires: 60 }), 'expected the expires header to be an ISO 8601 instant, got 60'],
  ])('refuses %s', (_name, message, reason) => {
    expect(refusal(message)).toContain(reason);
  });
});

describe('taskIdOf', () => {
  it('finds an id in what decodeTask refuses, if a record could have it', () => {
    expect(taskIdOf(withBody('hello'))).toBe('d8951d07-f7fa-4468-a34f-1a0c0288ea44');
    expect(taskIdOf({ ...fromCelery, headers: {} })).toBe('d8951d07-f7fa-4468-a34f-1a0c0288ea44');
    expect(taskIdOf({ ...fromCelery, headers: {}, correlationId: null })).toBeNull();
    expect(taskIdOf(withHeaders({ id: 'a\0' }))).toBeNull();
    expect(taskIdOf(withHeaders({ id: 5 }))).toBeNull();
  });
});
