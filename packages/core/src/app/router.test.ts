import { readLayer, resolveSettings } from '../config/config-layers.js';
import type { LovageOptions } from '../config/options.js';
import { createRouter, queueSpec, workerQueues } from './router.js';

const settings = (options: LovageOptions) => resolveSettings([readLayer(options, { origin: 'test' })]);

describe('createRouter', () => {
  test('a route, else the queue of @Task, else the default', () => {
    const route = createRouter(settings({ defaultQueue: 'd', routes: { 'billing.divide': 'math' } }));
    expect(route('billing.divide', 'own')).toBe('math');
    expect(route('billing.other', 'own')).toBe('own');
    expect(route('billing.other', null)).toBe('d');
  });

  test('an exact name comes before every glob; globs in their order', () => {
    const route = createRouter(
      settings({ routes: { 'billing.*': 'billing', '*.slow': 'slow', 'billing.slow': 'exact', '*': 'rest' } }),
    );
    expect(route('billing.slow', null)).toBe('exact');
    expect(route('billing.very.slow', null)).toBe('billing');
    expect(route('shipping.slow', null)).toBe('slow');
    expect(route('shipping', 'own')).toBe('rest');
  });

  test('only * is special in a glob', () => {
    const route = createRouter(settings({ routes: { 'a.b*(x)?': 'q' } }));
    expect(route('a.b-1(x)?', null)).toBe('q');
    expect(route('aXb(x)', null)).toBe('lovage');
    expect(route('a.b(x)? and more', null)).toBe('lovage');
  });

  test('names of the prototype are names like any other', () => {
    const route = createRouter(settings({}));
    expect(route('constructor', null)).toBe('lovage');
    expect(route('__proto__', null)).toBe('lovage');
  });
});

describe('queueSpec', () => {
  test('as configured, else a quorum queue', () => {
    const configured = settings({ queues: { urgent: { type: 'classic', maxPriority: 9 } } });
    expect(queueSpec(configured, 'urgent')).toEqual({ name: 'urgent', type: 'classic', maxPriority: 9, declare: true });
    expect(queueSpec(configured, 'toString')).toEqual({
      name: 'toString',
      type: 'quorum',
      maxPriority: null,
      declare: true,
    });
  });
});

describe('workerQueues', () => {
  const tasks = [
    { name: 'billing.divide', queue: null },
    { name: 'mail.send', queue: 'mail' },
    { name: 'mail.bounce', queue: 'mail' },
  ];

  test('the default, those of the tasks, then those in routes and queues, each once', () => {
    const configured = settings({
      routes: { 'billing.*': 'billing', 'other.*': 'other' },
      queues: { slow: {}, mail: {} },
    });
    expect(workerQueues(configured, tasks)).toEqual(['lovage', 'billing', 'mail', 'other', 'slow']);
  });

  test('worker.queues alone, if set', () => {
    expect(workerQueues(settings({ worker: { queues: ['b', 'a'] }, queues: { slow: {} } }), tasks)).toEqual(['b', 'a']);
  });

  test("somebody else's queue is left alone unless a registered task uses it", () => {
    const configured = settings({
      routes: { 'py.*': 'celery' },
      queues: { celery: { type: 'classic', declare: false }, mail: { declare: false } },
    });
    expect(workerQueues(configured, tasks)).toEqual(['lovage', 'mail']);
  });
});
