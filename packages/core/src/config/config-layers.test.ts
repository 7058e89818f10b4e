import { isLovageError } from '../errors/lovage-error.js';
import { readLayer, resolveSettings } from './config-layers.js';
import type { LovageOptions } from './options.js';

const env = (source: object) => readLayer(source, { namespace: 'LOVAGE', origin: 'the environment' });
const own = (source: LovageOptions) => readLayer(source, { origin: 'new Lovage()' });

/** The message of the LOVAGE_CONFIG that `read` throws. */
function problem(read: () => unknown): string {
  try {
    read();
  } catch (error) {
    if (isLovageError(error, 'LOVAGE_CONFIG')) return error.message;
    throw error;
  }
  throw new Error('expected LOVAGE_CONFIG');
}

const transport = { declare: () => {}, publish: () => {}, consume: () => {} } as never;
const backend = { commit: () => {}, find: () => {}, waitFor: () => {} } as never;
const pool = { query: () => {}, connect: () => {} };

describe('defaults', () => {
  test('every key is present, durations in milliseconds', () => {
    expect(resolveSettings([])).toEqual({
      name: 'lovage',
      defaultQueue: 'lovage',
      queues: {},
      routes: {},
      acceptContent: ['application/json'],
      maxMessageSize: 16_777_216,
      signing: null,
      broker: {
        urls: [],
        transport: null,
        heartbeatMs: 30_000,
        connectTimeoutMs: 10_000,
        connectRetryForMs: 60_000,
        publishTimeoutMs: 10_000,
        consumerTimeoutMs: 1_800_000,
        confirmWindow: 1000,
        schema: 'lovage',
        listenUrl: null,
        prepare: true,
        credentials: null,
        tls: null,
      },
      results: null,
      worker: {
        concurrency: 100,
        pool: 'async',
        threads: null,
        prefetch: null,
        queues: null,
        shutdownTimeoutMs: 25_000,
        unknownTaskGraceMs: 600_000,
        blockedLoopWarningMs: 1_000,
        maxStarts: 5,
        trackReceived: false,
        trackStarted: false,
      },
      revocations: { keepMs: 10_800_000, graceMs: 5_000 },
    });
    expect(resolveSettings([own({ results: 'postgres://localhost/shop' })]).results).toEqual({
      url: 'postgres://localhost/shop',
      backend: null,
      pool: null,
      schema: 'lovage',
      expiresMs: 604_800_000,
      maxSize: 1_000_000,
      listenUrl: null,
      prepare: true,
      poolSize: 4,
      synchronousCommit: true,
      connectTimeoutMs: 10_000,
      connectRetryForMs: 60_000,
      credentials: null,
      tls: null,
    });
  });

  test('settings are immutable', () => {
    const settings = resolveSettings([own({ broker: 'amqp://a', queues: { slow: {} }, results: 'memory:' })]);
    for (const part of [
      settings,
      settings.broker,
      settings.broker.urls,
      settings.results,
      settings.queues,
      settings.queues['slow'],
      settings.worker,
    ]) {
      expect(Object.isFrozen(part)).toBe(true);
    }
  });
});

describe('what users write', () => {
  test('broker: a URL, a list, text that lists, a group, a transport', () => {
    const urls = (broker: LovageOptions['broker']) => resolveSettings([own({ broker: broker ?? '' })]).broker.urls;
    expect(urls('amqp://a')).toEqual(['amqp://a']);
    expect(urls(['amqp://a', 'amqp://b'])).toEqual(['amqp://a', 'amqp://b']);
    expect(urls('amqp://a, amqps://b;amqp://c;')).toEqual(['amqp://a', 'amqps://b', 'amqp://c']);
    expect(urls('amqp://me:a,b;c@host')).toEqual(['amqp://me:a,b;c@host']);
    expect(urls({ url: 'amqp://a', heartbeat: '5s' })).toEqual(['amqp://a']);
    expect(resolveSettings([own({ broker: transport })]).broker).toMatchObject({ urls: [], transport });
    expect(resolveSettings([own({ broker: { transport, publishTimeout: 500 } })]).broker).toMatchObject({
      transport,
      publishTimeoutMs: 500,
    });
    expect(resolveSettings([own({ broker: { url: 'amqps://a', tls: { caFile: 'ca.pem' } } })]).broker.tls).toEqual({
      caFile: 'ca.pem',
      certFile: null,
      keyFile: null,
      serverName: null,
    });
  });

  test('results: beside the messages, where these are in PostgreSQL and nobody says otherwise', () => {
    const settings = (...layers: readonly LovageOptions[]) => resolveSettings(layers.map(own));
    const broker = 'postgres://localhost/shop';
    expect(settings({ broker }).results).toMatchObject({ url: broker, schema: 'lovage' });
    expect(settings({ broker: 'postgresql://a/b' }).results?.url).toBe('postgresql://a/b');
    expect(settings({ broker, results: null }).results).toBeNull();
    expect(settings({ broker, results: pool }).results).toMatchObject({ url: '', pool });
    expect(settings({ broker: 'amqp://a' }).results).toBeNull();
    expect(settings({ broker }, { broker: 'amqp://a' }).results).toBeNull();
  });

  test('broker: what is said of the results holds for a broker with the same URL', () => {
    const url = 'postgres://localhost/shop';
    const results = { url, schema: 'jobs', prepare: false, listenUrl: 'postgres://direct/shop' };
    const { broker } = resolveSettings([own({ broker: url, results })]);
    expect(broker).toMatchObject({ schema: 'jobs', prepare: false, listenUrl: 'postgres://direct/shop' });
    const other = resolveSettings([own({ broker: 'postgres://localhost/queues', results })]).broker;
    expect(other).toMatchObject({ schema: 'jobs', prepare: true, listenUrl: null });
    const set = { url, schema: 'queues', prepare: true, listenUrl: 'postgres://b/shop' };
    expect(resolveSettings([own({ broker: set, results })]).broker).toMatchObject({ schema: 'queues', prepare: true });
    const tls = { caFile: '/ca.pem' };
    expect(resolveSettings([own({ broker: { url, tls } })]).results?.tls).toMatchObject(tls);
    expect(resolveSettings([own({ broker: url, results: { url, tls } })]).broker.tls).toMatchObject(tls);
  });

  test('results: a URL, a group, a backend, a pool, null', () => {
    const results = (value: LovageOptions['results']) => resolveSettings([own({ results: value ?? null })]).results;
    expect(results('memory:')).toMatchObject({ url: 'memory:' });
    expect(results({ url: 'postgres:///shop', expires: '1d', schema: 'jobs' })).toMatchObject({
      url: 'postgres:///shop',
      expiresMs: 86_400_000,
      schema: 'jobs',
    });
    expect(results(backend)).toMatchObject({ url: '', backend, pool: null });
    expect(results(pool)).toMatchObject({ url: '', backend: null, pool });
    expect(results({ pool, prepare: false })).toMatchObject({ pool, prepare: false });
    expect(results(null)).toBeNull();
    expect(results({ maxSize: 5 })).toBeNull();
  });

  test('queues and routes keep their order and get their defaults', () => {
    const settings = resolveSettings([
      own({
        queues: { slow: {}, urgent: { type: 'classic', maxPriority: 10 }, celery: { type: 'classic', declare: false } },
        routes: { 'billing.*': 'billing', '*': 'rest' },
      }),
    ]);
    expect(settings.queues).toEqual({
      slow: { type: 'quorum', maxPriority: null, declare: true },
      urgent: { type: 'classic', maxPriority: 10, declare: true },
      celery: { type: 'classic', maxPriority: null, declare: false },
    });
    expect(Object.entries(settings.routes)).toEqual([
      ['billing.*', 'billing'],
      ['*', 'rest'],
    ]);
  });

  test('undefined is as good as absent', () => {
    expect(
      resolveSettings([readLayer({ broker: undefined, worker: { concurrency: undefined } }, { origin: 'x' })]),
    ).toEqual(resolveSettings([]));
  });
});

describe('a namespace', () => {
  test('reads an environment', () => {
    const settings = resolveSettings([
      env({
        PATH: '/bin',
        lovage_name: 'passed over',
        LOVAGES_NAME: 'passed over',
        LOVAGE_NAME: 'shop',
        LOVAGE_BROKER: 'amqp://a,amqp://b',
        LOVAGE_BROKER_HEARTBEAT: '5s',
        LOVAGE_BROKER_TLS_CA_FILE: '/ca.pem',
        LOVAGE_RESULTS: 'postgres://localhost/shop',
        LOVAGE_RESULTS_MAX_SIZE: '2000000',
        LOVAGE_RESULTS_LISTEN_URL: 'postgres://direct/shop',
        LOVAGE_RESULTS_PREPARE: 'false',
        LOVAGE_DEFAULT_QUEUE: 'shop',
        LOVAGE_QUEUES: '{"slow":{"type":"classic","maxPriority":5}}',
        LOVAGE_ROUTES: '{"billing.*":"billing"}',
        LOVAGE_WORKER_CONCURRENCY: '8',
        LOVAGE_WORKER_PREFETCH: ' 16 ',
        LOVAGE_WORKER_QUEUES: 'a, b,a',
        LOVAGE_WORKER_SHUTDOWN_TIMEOUT: '1500',
        LOVAGE_WORKER_TRACK_STARTED: 'True',
      }),
    ]);
    expect(settings).toMatchObject({
      name: 'shop',
      broker: { urls: ['amqp://a', 'amqp://b'], heartbeatMs: 5000, tls: { caFile: '/ca.pem' } },
      results: {
        url: 'postgres://localhost/shop',
        maxSize: 2_000_000,
        listenUrl: 'postgres://direct/shop',
        prepare: false,
      },
      defaultQueue: 'shop',
      queues: { slow: { type: 'classic', maxPriority: 5, declare: true } },
      routes: { 'billing.*': 'billing' },
      worker: { concurrency: 8, prefetch: 16, queues: ['a', 'b'], shutdownTimeoutMs: 1500, trackStarted: true },
    });
  });

  test('reads a settings object of typed values', () => {
    const settings = resolveSettings([
      readLayer(
        {
          SHOP_BROKER: { url: ['amqp://a'], confirmWindow: 5 },
          SHOP_RESULTS: pool,
          SHOP_WORKER: { concurrency: 3 },
          SHOP_ROUTES: { '*': 'q' },
        },
        { namespace: 'SHOP', origin: 'settings' },
      ),
    ]);
    expect(settings).toMatchObject({
      broker: { urls: ['amqp://a'], confirmWindow: 5 },
      results: { pool },
      routes: { '*': 'q' },
      worker: { concurrency: 3 },
    });
  });

  test('an empty text counts as unset', () => {
    expect([...env({ LOVAGE_BROKER: '', LOVAGE_WORKER_CONCURRENCY: '' }).values]).toEqual([]);
  });

  test('the long name of a short key works too', () => {
    expect(resolveSettings([env({ LOVAGE_BROKER_URL: 'amqp://a', LOVAGE_RESULTS_URL: 'memory:' })])).toMatchObject({
      broker: { urls: ['amqp://a'] },
      results: { url: 'memory:' },
    });
  });

  test('what Kubernetes puts beside a service of that name is passed over', () => {
    const layer = readLayer(
      {
        SHOP_SERVICE_HOST: '10.0.0.1',
        SHOP_SERVICE_PORT: '80',
        SHOP_SERVICE_PORT_HTTP: '80',
        SHOP_PORT: 'tcp://10.0.0.1:80',
        SHOP_PORT_80_TCP_ADDR: '10.0.0.1',
        SHOP_BROKER_PORT_5672_TCP: 'tcp://10.0.0.2:5672',
      },
      { namespace: 'SHOP', origin: 'the environment' },
    );
    expect([...layer.values]).toEqual([]);
  });

  test('a port of our own making is unknown, not passed over', () => {
    expect(problem(() => env({ LOVAGE_BROKER_PORT: '5672' }))).toContain(
      'LOVAGE_BROKER_PORT is not a configuration key',
    );
  });

  test('a namespace that ends in an underscore is a mistake', () => {
    expect(() => readLayer({}, { namespace: 'LOVAGE_', origin: 'x' })).toThrow(
      'expected namespace to be a word such as \'LOVAGE\', without the underscore that follows it, got "LOVAGE_"',
    );
  });
});

describe('layers', () => {
  test('later ones win, key by key', () => {
    const settings = resolveSettings([
      own({ broker: 'amqp://a', worker: { concurrency: 1, trackStarted: true } }),
      env({ LOVAGE_WORKER_CONCURRENCY: '2' }),
    ]);
    expect(settings.broker.urls).toEqual(['amqp://a']);
    expect(settings.worker).toMatchObject({ concurrency: 2, trackStarted: true });
  });

  test('a URL takes the place of a transport or pool set before, and the reverse', () => {
    const ready = own({ broker: transport, results: pool });
    const named = env({ LOVAGE_BROKER: 'amqp://a', LOVAGE_RESULTS: 'postgres://b' });
    expect(resolveSettings([ready, named])).toMatchObject({
      broker: { urls: ['amqp://a'], transport: null },
      results: { url: 'postgres://b', pool: null },
    });
    expect(resolveSettings([named, ready])).toMatchObject({
      broker: { urls: [], transport },
      results: { url: '', pool },
    });
    expect(resolveSettings([named, own({ results: null })]).results).toBeNull();
    expect(resolveSettings([own({ results: pool }), own({ results: null })]).results).toBeNull();
  });
});

describe('unknown keys', () => {
  test('the nearest right key is suggested', () => {
    expect(problem(() => env({ LOVAGE_WORKER_CONCURENCY: '8' }))).toBe(
      'the environment: LOVAGE_WORKER_CONCURENCY is not a configuration key; did you mean LOVAGE_WORKER_CONCURRENCY?',
    );
    expect(problem(() => own({ worker: { concurency: 8 } } as never))).toBe(
      'new Lovage(): worker.concurency is not a configuration key; did you mean worker.concurrency?',
    );
  });

  test.each([
    ['LOVAGE_BROKERS', 'LOVAGE_BROKER'],
    ['LOVAGE_RESULT', 'LOVAGE_RESULTS'],
    ['LOVAGE_CONCURRENCY', 'LOVAGE_WORKER_CONCURRENCY'],
    ['LOVAGE_RESULT_BACKEND', 'LOVAGE_RESULTS'],
    ['LOVAGE_TASK_DEFAULT_QUEUE', 'LOVAGE_DEFAULT_QUEUE'],
    ['LOVAGE_RESULTS_MAXSIZE', 'LOVAGE_RESULTS_MAX_SIZE'],
    ['LOVAGE_TASK_TRACK_STARTED', 'LOVAGE_WORKER_TRACK_STARTED'],
  ])('%s → %s', (wrong, right) => {
    expect(problem(() => env({ [wrong]: '1' }))).toContain(
      `${wrong} is not a configuration key; did you mean ${right}?`,
    );
  });

  test('without a near one the list is named', () => {
    expect(problem(() => own({ zzzzzzzz: 1 } as never))).toBe(
      'new Lovage(): zzzzzzzz is not a configuration key; docs/reference/configuration.md lists them',
    );
  });

  test('keys of the prototype are unknown like any other', () => {
    const source = JSON.parse('{"__proto__": {"broker": "amqp://a"}, "constructor": 1}') as object;
    expect(problem(() => readLayer(source, { origin: 'x' }))).toContain('__proto__ is not a configuration key');
  });
});

describe('bad values', () => {
  test('every bad key and value is named at once', () => {
    expect(
      problem(() =>
        env({
          LOVAGE_WORKER_CONCURRENCY: '0',
          LOVAGE_WORKER_SHUTDOWN_TIMEOUT: 'soon',
          LOVAGE_RESULTS_PREPARE: 'maybe',
          LOVAGE_WORKER_QUEUES: 'a,,b',
          LOVAGE_QUEUES: 'slow',
          LOVAGE_BROKE: 'amqp://a',
        }),
      ),
    ).toBe(
      [
        'the environment:',
        'LOVAGE_BROKE is not a configuration key; did you mean LOVAGE_BROKER?',
        'expected LOVAGE_WORKER_CONCURRENCY to be an integer from 1 to 65,535, got "0"',
        `expected LOVAGE_WORKER_SHUTDOWN_TIMEOUT to be a duration from 0s to 24d: milliseconds or a string such as '30s', got "soon"`,
        'expected LOVAGE_RESULTS_PREPARE to be true or false, got "maybe"',
        'expected LOVAGE_WORKER_QUEUES to be a list of queue names, or their text separated by commas, got "a,,b"',
        `expected LOVAGE_QUEUES to be queues by name, such as {"slow": {"type": "classic", "maxPriority": 10}}, got "slow"`,
      ].join('\n  - '),
    );
  });

  test('queues: priorities only on classic ones, misspelt options, bad names', () => {
    expect(
      problem(() =>
        own({
          queues: {
            fast: { maxPriority: 5 },
            slow: { typ: 'classic' },
            'a b': {},
            odd: { type: 'stream', declare: 'x' },
            none: null,
          },
        } as never),
      ),
    ).toBe(
      [
        'new Lovage():',
        "queues['fast'].maxPriority needs queues['fast'].type to be 'classic': a quorum queue has no priorities",
        "queues['slow'].typ is not a configuration key; did you mean type?",
        `expected the key of queues['a b'] to be the name of a queue: 1 to 250 bytes without white space or commas, not beginning with 'amq.', got "a b"`,
        `expected queues['odd'].type to be 'quorum' or 'classic', got "stream"`,
        `expected queues['odd'].declare to be true or false, got "x"`,
        "expected queues['none'] to be an object with type, maxPriority, declare, got null",
      ].join('\n  - '),
    );
  });

  test('routes name one queue each', () => {
    expect(problem(() => own({ routes: { 'billing.*': { queue: 'billing' } } } as never))).toBe(
      "new Lovage(): expected routes['billing.*'] to be the name of a queue: 1 to 250 bytes without white space or commas, not beginning with 'amq.', got an object",
    );
  });

  test('one key set twice, or two that exclude one another', () => {
    expect(problem(() => env({ LOVAGE_BROKER: 'amqp://a', LOVAGE_BROKER_URL: 'amqp://b' }))).toBe(
      'the environment: LOVAGE_BROKER and LOVAGE_BROKER_URL exclude one another: set one of them',
    );
    expect(problem(() => own({ results: { url: 'memory:', pool } }))).toBe(
      'new Lovage(): results.url and results.pool exclude one another: set one of them',
    );
  });

  test('a timer that Node cannot keep is refused', () => {
    expect(problem(() => own({ worker: { shutdownTimeout: '30d' } }))).toContain('a duration from 0s to 24d');
    expect(problem(() => own({ worker: { shutdownTimeout: Infinity } }))).toContain('got Infinity');
  });

  test('groups must be objects', () => {
    expect(problem(() => env({ LOVAGE_WORKER: '8' }))).toBe(
      'the environment: expected LOVAGE_WORKER to be an object of settings, got a text',
    );
  });
});

describe('URLs', () => {
  const message = (broker: unknown) => problem(() => own({ broker } as never));
  const what = 'expected broker to be a URL such as amqp://user:password@host:5672/vhost, or a list of them,';

  test.each([
    ['localhost:5672', "got text that does not begin with 'scheme://'"],
    ['me:secret@host', "got text that does not begin with 'scheme://'"],
    [
      'amqp://me:secret#x@host',
      "got amqp://…, which cannot be read (write special characters of a user's name or password as %XX: '/' is %2F, '#' is %23)",
    ],
    ['amqp://me:secret@a,b', 'got amqp://me:***@a,b: write each host as a URL of its own'],
    ['', 'got an empty text'],
    [[], 'got an empty list'],
    [5, 'got a value of type number'],
    [['amqp://a', 5], 'got a value of type number'],
  ])('%p', (broker, got) => {
    expect(message(broker)).toBe(`new Lovage(): ${what} ${got}`);
  });

  test('no password is shown, wherever a URL was put', () => {
    const secret = 'hunter2';
    const text = problem(() =>
      env({
        LOVAGE_BROKER: `amqp://me:${secret}:x@h`,
        LOVAGE_RESULTS: `me:${secret}@h`,
        LOVAGE_RESULTS_LISTEN_URL: `postgres://me:${secret}@h:port/db`,
        LOVAGE_WORKER_CONCURRENCY: `amqp://me:${secret}@h`,
        LOVAGE_ROUTES: `amqp://me:${secret}@h`,
        LOVAGE_BROKER_PASSWORD: secret,
        LOVAGE_BROKER_TLS_KEY_FILE: `-----BEGIN PRIVATE KEY-----\n${secret}`,
      }),
    );
    expect(text).not.toContain(secret);
    expect(text).toContain(
      'expected LOVAGE_BROKER_TLS_KEY_FILE to be the name of a PEM file, got text of several lines',
    );
  });
});
