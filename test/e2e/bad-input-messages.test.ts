import { gzipSync } from 'node:zlib';
import { isLovageError } from 'lovage';
import { type RawMessage, QUEUE, Scene } from './bad-input/scene.js';
import { eventually } from '../support/eventually.js';
import { nested } from './bad-input/bad-results.js';

jest.setTimeout(60_000);

let scene: Scene;
beforeAll(async () => {
  scene = await Scene.open();
});
afterAll(() => scene?.close());

const deep = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
const embedding = (embed: object): string => JSON.stringify([['a'], {}, embed]);

/** Messages of a known task that nobody can run, and what the reason says. */
const UNREADABLE: readonly (readonly [string, RawMessage, RegExp])[] = [
  ['not JSON', { body: '{not json' }, /body to be JSON/],
  ['nothing', { body: '' }, /body to be JSON/],
  ['NUL bytes', { body: Buffer.alloc(100) }, /body to be JSON/],
  ['not UTF-8', { body: Buffer.from([0x5b, 0xff, 0xfe, 0x5d]) }, /UTF-8/],
  [
    'pickled, by its content type',
    { contentType: 'application/x-python-serialize' },
    /content type .*pickle|serialize/,
  ],
  ['of no content type', { contentType: '' }, /content type/],
  ['of another encoding', { contentEncoding: 'utf-16' }, /content encoding/],
  ['binary', { contentEncoding: 'binary' }, /content encoding/],
  [
    'compressed',
    { body: gzipSync('[[],{},null]'), headers: { compression: 'application/x-gzip' } },
    /compression .* send the body as it is/,
  ],
  ['an object (protocol 1)', { body: '{"task":"bad.vitals","id":"1","args":[]}' }, /\[args, kwargs, embed\]/],
  ['a number', { body: '5' }, /\[args, kwargs, embed\]/],
  ['without arguments', { body: '[]' }, /args/],
  ['with arguments that are no array', { body: '["ab", {}, null]' }, /args/],
  ['with kwargs that are no object', { body: '[[], [], null]' }, /kwargs/],
  ['with an embed that is no object', { body: '[[], {}, 7]' }, /embed/],
  ['with a chain', { body: embedding({ chain: [{ task: 'x', args: [] }] }) }, /follow-ups \(chain\)/],
  ['with a callback', { body: embedding({ callbacks: [{ task: 'x' }] }) }, /follow-ups \(callbacks\)/],
  ['with a chord', { body: embedding({ chord: { task: 'x' } }) }, /follow-ups \(chord\)/],
  ['with an eta that is none', { headers: { eta: 'soon' } }, /eta header/],
  ['with an expiry that is none', { headers: { expires: { in: 5 } } }, /expires header/],
  ['with retries below 0', { headers: { retries: -1 } }, /retries header/],
  ['with retries beyond an integer', { headers: { retries: { '!': 'double', value: 1e300 } } }, /retries header/],
  ['with an attempt that is text', { headers: { attempt: 'first' } }, /attempt header/],
  ['nested 1,001 deep', { body: `[${deep(1_001)},{},null]` }, /1000 levels/],
  ['nested 100,000 deep', { body: `[${deep(100_000)},{},null]` }, /1000 levels/],
  ['never closed', { body: '['.repeat(1_000_000) }, /1000 levels/],
  ['a million quotes', { body: '"'.repeat(1_000_001) }, /JSON/],
];

/** Messages whose id or task nobody could store. */
const NAMELESS: readonly (readonly [string, RawMessage, RegExp])[] = [
  ['without any header', { headers: {} }, /task header/],
  ['of a task that is a number', { headers: { task: 5, id: 'x' } }, /task header/],
  ['of a task that is a table', { headers: { task: { name: 'bad.vitals' }, id: 'x' } }, /task header/],
  ['of a task named by 60,000 characters', { headers: { task: 'x'.repeat(60_000), id: 'x' } }, /task header/],
  ['of a task with a NUL', { headers: { task: 'bad\0', id: 'x' } }, /task header/],
  ['without an id', { headers: { task: 'bad.vitals' } }, /id header/],
  ['with an id of 300 characters', { headers: { task: 'bad.vitals', id: 'x'.repeat(300) } }, /id header/],
  ['with an id that holds a NUL', { headers: { task: 'bad.vitals', id: 'a\0b' } }, /id header/],
  ['with an id that is a list', { headers: { task: 'bad.vitals', id: ['a'] } }, /id header/],
  ['with an empty id', { headers: { task: 'bad.vitals', id: '' } }, /id header/],
];

describe('a message that nobody can run goes to the dead letters, as it came, with the reason', () => {
  async function expectDead(message: RawMessage, reason: RegExp): Promise<void> {
    const letter = await scene.dead();
    expect(letter.content.equals(Buffer.from(message.body ?? ''))).toBe(true);
    expect(letter.properties.headers).toMatchObject({
      'x-lovage-reason': expect.stringMatching(reason) as string,
      'x-lovage-queue': QUEUE,
      'x-lovage-worker': expect.stringContaining(`:${scene.worker.pid}`) as string,
    });
    expect((letter.properties.contentType as string | undefined) ?? '').toBe(message.contentType);
  }

  it.each(UNREADABLE)('%s', async (_what, message, reason) => {
    const sent = { contentType: 'application/json', body: '[[], {}, null]', ...message };
    const id = await scene.send('bad.vitals', sent);
    await expectDead(sent, reason);
    await expect(scene.app.result(id).state()).resolves.toBe('PENDING');
  });

  it.each(NAMELESS)('%s', async (_what, message, reason) => {
    const sent = { contentType: 'application/json', contentEncoding: 'utf-8', body: '[[], {}, null]', ...message };
    await scene.publish(sent);
    await expectDead(sent, reason);
  });

  it('headers that fill all the room there is', async () => {
    const headers = { task: 'bad.vitals', id: 'full', filler: 'x'.repeat(65_300) };
    await scene.publish({ contentType: 'application/json', body: 'none', headers });
    expect((await scene.dead()).properties.headers).toMatchObject({ id: 'full', 'x-lovage-left-out': ['filler'] });
  });

  it('headers nested 1,500 levels deep', async () => {
    let table: object = {};
    for (let level = 0; level < 1_500; level++) table = { t: table };
    await scene.publish({ contentType: 'application/json', headers: { task: 'bad.vitals', id: 'deep', table } });
    const { headers } = (await scene.dead()).properties;
    // What is deeper than 100 levels is not read.
    expect(headers).toMatchObject({ id: 'deep', table: { t: { t: {} } } });
    expect(JSON.stringify(headers)).toMatch(/^.{500,1500}$/);
  });

  it('also once the queue for them was deleted', async () => {
    await scene.channel.deleteQueue(`${QUEUE}.dead`);
    await scene.publish({ contentType: 'application/json', headers: { task: 'bad.vitals', id: 'x' } });
    await scene.exists(`${QUEUE}.dead`);
    expect((await scene.dead()).properties.headers).toMatchObject({ id: 'x' });
  });
});

describe('a message that cannot be run now', () => {
  it.each(['nobody.knows', 'constructor', '__proto__'])('of the unknown task %s ends FAILURE', async (task) => {
    const id = await scene.send(task);
    expect(await scene.outcome(id)).toMatchObject({
      code: 'LOVAGE_TASK_FAILED',
      cause: { code: 'LOVAGE_NOT_REGISTERED', message: expect.stringContaining(`'${task}'`) as string },
    });
  });

  it('waits for its eta in the outbox, and can be cancelled', async () => {
    const eta = new Date(Date.now() + 3_600_000);
    const id = await scene.send('bad.vitals', { headers: { eta: eta.toISOString() } });
    await eventually(async () => {
      expect(await scene.app.scheduled.list({ ids: [id] })).toMatchObject([{ id, eta, retries: 0 }]);
    });
    expect(await scene.app.results.get(id)).toMatchObject({ state: 'PENDING', scheduledAt: eta });
    expect(await scene.app.scheduled.cancel(id)).toBe(true);
    expect(await scene.outcome(id)).toMatchObject({ code: 'LOVAGE_TASK_REVOKED' });
  });

  it('with headers that leave no room to send it again ends FAILURE', async () => {
    const id = await scene.send('nobody.knows', {
      headers: { filler: 'x'.repeat(65_000), eta: '2999-01-01T00:00:00Z' },
    });
    expect(await scene.outcome(id)).toMatchObject({
      cause: {
        code: 'LOVAGE_PAYLOAD',
        message: expect.stringContaining('headers to take at most 60000 bytes') as string,
      },
    });
  });
});

describe('a message that is odd, and a task all the same', () => {
  it.each<readonly [string, string, RawMessage, unknown]>([
    ['10 MB large', 'bad.size', { body: JSON.stringify([['x'.repeat(10_000_000)], {}, null]) }, 10_000_000],
    ['with a priority', 'bad.size', { body: '[["ab"], {}, null]', priority: 200 }, 2],
    ['without an embed', 'bad.size', { body: '[["é"], {}]' }, 1],
    ['with an eta in the past', 'bad.size', { body: '[["ab"], {}, null]', headers: { eta: '2020-01-01' } }, 2],
    ['with empty follow-ups', 'bad.size', { body: '[["a"], {}, {"chain": [], "callbacks": null}]' }, 1],
    ['with kwargs', 'bad.describe', { body: '[[], {"other": true}, null]' }, ['undefined undefined', 'boolean true']],
    ['with a NUL', 'bad.describe', { body: '[["a\\u0000"], {}, null]' }, ['string 61 0', 'undefined undefined']],
    [
      'with a lone surrogate',
      'bad.describe',
      { body: '[["\\ud800", "\\udc00b"], {}, null]' },
      ['string d800', 'string dc00 62'],
    ],
    [
      'with huge numbers',
      'bad.describe',
      { body: `[[1e400, ${'9'.repeat(30)}], {}, null]` },
      ['number Infinity', `bigint ${'9'.repeat(30)}`],
    ],
    [
      'with an integer of 400 digits',
      'bad.describe',
      { body: `[[${'7'.repeat(400)}, -${'7'.repeat(400)}], {}, null]` },
      [`bigint ${'7'.repeat(400)}`, `bigint -${'7'.repeat(400)}`],
    ],
    ['nested 999 deep in its arguments', 'bad.keys', { body: `[[${deep(999)}], {}, null]` }, ['0']],
    [
      'with a __proto__ in its arguments',
      'bad.keys',
      { body: '[[{"__proto__": {"polluted": 1}, "a": {"constructor": {"prototype": {"polluted": 1}}}}], {}, null]' },
      ['__proto__', 'a'],
    ],
    [
      'with a tag around a __proto__',
      'bad.keys',
      { body: '[[{"__type__": "object", "__value__": {"__proto__": {"polluted": 1}}}], {}, null]' },
      ['__proto__'],
    ],
    [
      'with headers of every type',
      'bad.headers',
      {
        headers: {
          text: 'é',
          yes: true,
          none: null,
          int64: { '!': 'int64', value: 2 ** 40 },
          float: { '!': 'float', value: 0.5 },
          double: 1e300,
          at: { '!': 'timestamp', value: 1_700_000_000 },
          decimal: { '!': 'decimal', value: { places: 2, digits: 150 } },
          bytes: Buffer.from('bytes'),
          list: [1, [true, { a: null }]],
          table: { '!!': 1, constructor: 'c' },
        },
      },
      JSON.stringify({
        text: 'é',
        yes: true,
        none: null,
        int64: 2 ** 40,
        float: 0.5,
        double: 1e300,
        at: 1_700_000_000,
        decimal: 1.5,
        bytes: 'bytes',
        list: [1, [true, { a: null }]],
        table: { '!!': 1, constructor: 'c' },
      }),
    ],
    [
      'with headers of the protocol that have odd types',
      'bad.size',
      {
        body: '[["ab"], {}, null]',
        headers: {
          lang: 5,
          shadow: ['x'],
          group: { a: 1 },
          root_id: 7,
          parent_id: true,
          origin: 5,
          ignore_result: 'yes',
          republished: 'yes',
          timelimit: 'none',
          stamps: 5,
          'x-death': 'never',
        },
      },
      2,
    ],
    [
      'with headers of the protocol that no column takes as they are',
      'bad.size',
      { body: '[["ab"], {}, null]', headers: { group: 'a\0b', root_id: 'r'.repeat(20_000), shadow: '\0' } },
      2,
    ],
  ])('%s', async (_what, task, message, result) => {
    const outcome = await scene.outcome(await scene.send(task, message));
    expect(outcome).toEqual(result);
  });

  it.each<readonly [string, RawMessage, RegExp]>([
    [
      'with a __proto__ in its kwargs',
      { body: '[[], {"__proto__": {"polluted": 1}}, null]' },
      /keyword argument __proto__/,
    ],
    ['with unknown keyword arguments', { body: '[[], {"valeu": 1}, null]' }, /keyword argument valeu/],
    ['with an argument twice', { body: '[[1], {"value": 1}, null]' }, /value twice/],
  ])('%s ends FAILURE', async (_what, message, words) => {
    const error = await scene.outcome(await scene.send('bad.describe', message));
    expect(error).toMatchObject({ code: 'LOVAGE_TASK_FAILED', cause: { name: 'ArgumentsError' } });
    expect((error as Error).message).toMatch(words);
  });

  it.each([
    ['absent', '[[null], {}, null]', /quantity|null/],
    ['a number', '[[5], {}, null]', /argument 0 .*object \(Order\)/],
    ['an array', '[[[]], {}, null]', /argument 0 .*object \(Order\)/],
    ['of a wrong type', '[[{"quantity": "two"}], {}, null]', /argument 0: quantity must be an integer/],
    [
      'of a wrong type within',
      '[[{"quantity": 2, "lines": [{"quantity": 1}, {"quantity": 0.5}]}], {}, null]',
      /argument 0: lines\[1\]\.quantity must be an integer/,
    ],
    ['with a __proto__', '[[{"__proto__": {"quantity": 2}}], {}, null]', /argument 0: quantity must be an integer/],
  ])('an argument that does not validate (%s) ends FAILURE', async (_what, body, words) => {
    const error = await scene.outcome(await scene.send('bad.order', { body }));
    expect(error).toMatchObject({ code: 'LOVAGE_TASK_FAILED' });
    expect((error as Error).message).toMatch(words);
  });
});

it('an argument that does validate', async () => {
  const body = '[[{"quantity": 2, "lines": [{"quantity": 1}]}], {}, null]';
  expect(await scene.outcome(await scene.send('bad.order', { body }))).toBe(2);
});

describe('a call that cannot be sent is an error of the caller', () => {
  const cycle: unknown[] = [];
  cycle.push(cycle);
  const call = (value: unknown) => () => scene.app.task('bad.describe').delay(value);

  it.each<readonly [string, () => Promise<unknown>, string]>([
    ['a cycle', call(cycle), 'LOVAGE_PAYLOAD'],
    ['a function', call(() => 1), 'LOVAGE_PAYLOAD'],
    ['a promise', call({ a: Promise.resolve() }), 'LOVAGE_PAYLOAD'],
    ['nesting 1,001 deep', call(nested(1_001)), 'LOVAGE_PAYLOAD'],
    ['nesting 100,000 deep', call(nested(100_000)), 'LOVAGE_PAYLOAD'],
    ['17 MB', call('é'.repeat(8_500_000)), 'LOVAGE_PAYLOAD'],
    ['140 MB', call('x'.repeat(140_000_000)), 'LOVAGE_PAYLOAD'],
    ['headers of 70 KB', () => withOptions({ headers: { h: 'x'.repeat(70_000) } }), 'LOVAGE_PUBLISH'],
    ['a header that is no header', () => withOptions({ headers: { h: (() => 1) as never } }), 'LOVAGE_PUBLISH'],
    ['an id of 300 characters', async () => withOptions({ id: 'x'.repeat(300) }), 'LOVAGE_USAGE'],
    ['an id with a NUL', async () => withOptions({ id: 'a\0b' }), 'LOVAGE_USAGE'],
    ['a reserved header', async () => withOptions({ headers: { task: 'x' } }), 'LOVAGE_USAGE'],
    ['a priority of 256', async () => withOptions({ priority: 256 }), 'LOVAGE_USAGE'],
    ['a queue of 300 characters', async () => withOptions({ queue: 'q'.repeat(300) }), 'LOVAGE_USAGE'],
    ['an option that is misspelt', async () => withOptions({ qeue: 'x' } as never), 'LOVAGE_USAGE'],
  ])('%s', async (_what, send, code) => {
    const error: unknown = await send().catch((thrown: unknown) => thrown);
    expect({ code, error: isLovageError(error) ? error.code : error }).toEqual({ code, error: code });
  });

  function withOptions(options: Parameters<ReturnType<Scene['app']['task']>['with']>[0]): Promise<unknown> {
    return scene.app.task('bad.describe').with(options).delay();
  }

  it('and the next call works: 16 MB, a NUL and a lone surrogate travel', async () => {
    const size = await scene.app.task<[string], number>('bad.size').delay('é'.repeat(8_000_000));
    await expect(size.get({ timeout: '20s' })).resolves.toBe(8_000_000);
    const described = await scene.app.task<[string, string], string[]>('bad.describe').delay('a\0', '\udc00');
    await expect(described.get({ timeout: '20s' })).resolves.toEqual(['string 61 0', 'string dc00']);
  });

  it('an id without a record is PENDING, whatever it is', async () => {
    for (const id of ['nobody', 'x'.repeat(300), 'a\0b', '\ud800', '__proto__', '']) {
      await expect(scene.app.result(id).state()).resolves.toBe('PENDING');
      const error: unknown = await scene.app
        .result(id)
        .get({ timeout: 100 })
        .catch((thrown: unknown) => thrown);
      expect(isLovageError(error, 'LOVAGE_RESULT_TIMEOUT')).toBe(true);
    }
  });
});

describe('after all of it', () => {
  it('the worker is the same process, unpolluted and of sane size', async () => {
    const { rss } = await scene.vitals();
    expect(rss).toBeLessThan(400e6);
  });

  it('nothing is left in a queue, nothing is unacknowledged, and no password was printed', async () => {
    await scene.expectNothingLeft();
  });
});
