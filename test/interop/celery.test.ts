import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Lovage, type LovageOptions, type TaskRecord } from 'lovage';
import { eventually } from '../support/eventually.js';
import { type IsolatedBroker, isolatedBroker } from '../support/isolated-broker.js';
import { type IsolatedResults, isolatedResults } from '../support/isolated-results.js';
import { type LogLine, type WorkerProcess, runLovage, startWorker } from '../support/lovage-process.js';
import { type CeleryWorker, PythonRepl, findCelery, startCeleryWorker } from './celery-peer.js';

const APP = path.join(__dirname, 'typescript', 'app.ts');
const TIMEOUT = { timeoutMs: 20_000 };

const celery = findCelery();
if (celery === null) {
  console.warn('SKIPPED: interoperation with Celery. No Python with Celery was found: apt-get install python3-celery');
}
const describeWithCelery = celery === null ? describe.skip : describe;
const title =
  celery === null ? 'Celery (SKIPPED: it is not installed)' : `Celery ${celery.version} at ${celery.python}`;

describeWithCelery(title, () => {
  jest.setTimeout(60_000);
  const peer = celery ?? { python: '', version: '' };
  let broker: IsolatedBroker;
  let results: IsolatedResults;
  let env: NodeJS.ProcessEnv;
  let python: PythonRepl;
  let app: Lovage;

  beforeAll(async () => {
    [broker, results] = await Promise.all([isolatedBroker(), isolatedResults()]);
    env = { LOVAGE_BROKER: broker.url, LOVAGE_RESULTS: results.url };
    python = new PythonRepl(peer, env);
    expect(await runLovage(['migrate', '-A', APP], { env })).toMatchObject({ code: 0 });
    app = lovage({});
  });

  afterAll(async () => {
    await app?.stop();
    await python?.stop();
    await broker?.drop();
    await results?.drop();
  });

  describe('as a caller of Lovage', () => {
    let worker: WorkerProcess;

    beforeAll(async () => {
      worker = await startWorker(['-A', APP], { env });
    });

    afterAll(async () => {
      await worker?.stop();
    });

    it('gives positional arguments, with unicode, nesting and what JSON lacks', async () => {
      const record = await ended(
        await python.eval(
          `send('interop.echo', 'Grüße, 世界 🌿', {'a': [1, None, True, 2.5]}, 2**53 + 1, float('inf'), -7)`,
        ),
      );
      expect(record).toMatchObject({ task: 'interop.echo', state: 'SUCCESS', queue: 'lovage', retries: 0 });
      expect(record.result).toEqual(['Grüße, 世界 🌿', { a: [1, null, true, 2.5] }, 2n ** 53n + 1n, Infinity, -7]);
    });

    it.each([`send('interop.divide', x=1, y=4)`, `send('interop.divide', 1, y=4)`, `send('interop.divide', 1, 4)`])(
      'gives keyword arguments their places through params: %s',
      async (call) => {
        expect(await ended(await python.eval(call))).toMatchObject({ state: 'SUCCESS', result: 0.25 });
      },
    );

    it.each([
      [`send('interop.divide', x=1, z=4)`, 'z'],
      [`send('interop.divide', 1, x=4)`, 'x'],
      [`send('interop.echo', x=4)`, 'x'],
    ])('is told of keyword arguments that fit no parameter: %s', async (call, name) => {
      const record = await ended(await python.eval(call));
      expect(record).toMatchObject({ state: 'FAILURE', error: { type: 'ArgumentsError', code: 'LOVAGE_ARGUMENTS' } });
      expect(record.error?.message).toContain(name);
    });

    it.each([
      ['datetime(2026, 3, 4, 5, 6, 7, 891234, tzinfo=timezone.utc)', '2026-03-04T05:06:07.891Z'],
      ['datetime(2026, 3, 4, 5, 6, 7, tzinfo=timezone(timedelta(hours=2)))', '2026-03-04T03:06:07.000Z'],
      ['datetime(2026, 3, 4, 5, 6, 7)', '2026-03-04T05:06:07.000Z'],
      ['date(2026, 3, 4)', '2026-03-04T00:00:00.000Z'],
    ])('gives a date to a parameter that is declared as one: %s', async (value, instant) => {
      const record = await ended(await python.eval(`send('interop.plan', ${value}, until=${value})`));
      expect(record).toMatchObject({ state: 'SUCCESS', result: [Date.parse(instant), Date.parse(instant)] });
    });

    it('finds the failure of its call recorded', async () => {
      const record = await ended(await python.eval(`send('interop.divide', 1, 0)`));
      expect(record).toMatchObject({
        state: 'FAILURE',
        args: [1, 0],
        error: { type: 'RangeError', message: 'division by zero' },
      });
      expect(record.error?.stack).toContain('typescript/tasks.ts');
    });

    it('may send header integers of any width', async () => {
      const id = await python.eval<string>(
        `send('interop.headers', headers__={'int16': 200, 'negative': -1, 'big': 2**40, 'least': -2**40}, retries__=200, priority__=200)`,
      );
      const { result } = await ended(id);
      expect(result).toMatchObject({ attempt: 200, headers: { int16: 200, big: 2 ** 40, least: -(2 ** 40) } });
      // The one connection of before still consumes.
      expect(await ended(await python.eval(`send('interop.divide', 1, 2)`))).toMatchObject({ result: 0.5 });
      expect(linesOf(worker, 'connection:lost')).toEqual([]);
    });

    it.each([
      [`soft_time_limit__=0.1, time_limit__=60`, 'LOVAGE_SOFT_TIME_LIMIT'],
      [`time_limit__=0.1`, 'LOVAGE_TIME_LIMIT'],
    ])('limits how long its call may take: %s', async (limits, code) => {
      const record = await ended(await python.eval(`send('interop.wait', ${limits})`));
      expect(record).toMatchObject({ state: 'FAILURE', error: { code } });
    });

    it.each([
      [
        'a chain',
        `chain(call('interop.divide', 1, 2), call('interop.divide', 4)).apply_async().parent.id`,
        /carries follow-ups \(chain\)/,
      ],
      [
        'a callback',
        `send('interop.divide', 1, 2, link__=call('interop.divide', 4))`,
        /carries follow-ups \(callbacks\)/,
      ],
    ])('finds %s in the dead-letter queue, with the reason', async (_what, call, reason) => {
      const id = await python.eval<string>(call);
      await eventually(() => expect(linesOf(worker, 'message:dead').at(-1)).toMatchObject({ id }), TIMEOUT);
      const [headers, body] = await python.eval<[Record<string, unknown>, unknown[]]>(`take('lovage.dead')`);
      expect(headers).toMatchObject({ id, lang: 'py', 'x-lovage-queue': 'lovage' });
      expect(headers['x-lovage-reason']).toMatch(reason);
      expect(body[0]).toEqual([1, 2]);
      expect(await app.results.get(id)).toBeUndefined();
    });

    it('may ask for a countdown: the call waits in the outbox, is run after it, and answered', async () => {
      const soon = await python.eval<string>(`send('interop.divide', 1, 2, countdown__=2)`);
      const late = await python.eval<string>(`send('interop.divide', 1, 2, countdown__=3600)`);
      await eventually(async () => {
        expect((await app.scheduled.list({ ids: [soon, late] })).map(({ id }) => id)).toContain(late);
      }, TIMEOUT);
      expect(await ended(soon)).toMatchObject({ state: 'SUCCESS', result: 0.5, retries: 0 });
      expect(await app.scheduled.cancel(late)).toBe(true);
      expect(await ended(late)).toMatchObject({ state: 'REVOKED' });
    });

    it('may call a task that no worker knows yet: it waits for the worker that does', async () => {
      const id = await python.eval<string>(`send('interop.multiply', 1, 2)`);
      await eventually(() => expect(linesOf(worker, 'task:postponed').at(-1)).toMatchObject({ id }), TIMEOUT);
      expect(await app.results.get(id)).toMatchObject({ state: 'PENDING', task: 'interop.multiply', args: [1, 2] });
      expect(await app.scheduled.cancel(id)).toBe(true);
    });

    it('is refused by the broker if it declares the queue by its own rules', async () => {
      const call = `Celery('naive', broker=app.conf.broker_url).send_task('interop.divide', [1, 2], queue='lovage')`;
      await expect(python.eval(call)).rejects.toThrow(/PreconditionFailed.*406.*inequivalent arg/);
    });

    it('sends to its default queue if it names another by routing key alone', async () => {
      const id = await python.eval<string>(`send('interop.divide', 1, 2, exchange__='', routing_key__='elsewhere')`);
      expect(await ended(id)).toMatchObject({ queue: 'lovage' });
    });

    it('is not told that a queue does not exist', async () => {
      const call = `send('interop.divide', 1, 2, queue__=Queue('nowhere', no_declare=True))`;
      await expect(python.eval(call)).resolves.toEqual(expect.any(String));
    });
  });

  it('may declare a queue for Lovage, with the very same arguments', async () => {
    const declaration = codeOf('python', 'queue_arguments');
    await python.eval(`exec(${JSON.stringify(declaration)}, globals())`);
    const id = await python.eval<string>(`send('interop.divide', 3, 4, queue__=lovage_queue('reports'))`);
    const worker = await startWorker(['-A', APP, '--queues', 'reports'], { env });
    try {
      expect(await ended(id)).toMatchObject({ state: 'SUCCESS', result: 0.75, queue: 'reports' });
    } finally {
      await worker.stop();
    }
  });

  it('sees its call REVOKED if that expires while no worker runs', async () => {
    const id = await python.eval<string>(`send('interop.divide', 1, 2, expires__=0.2)`);
    const { capabilities } = await app.connectBroker();
    await eventually(async () => {
      expect(await capabilities.inspect?.depths(['lovage', 'lovage.lost'])).toMatchObject([
        { messages: 0 },
        { messages: 1 },
      ]);
    }, TIMEOUT);
    const worker = await startWorker(['-A', APP], { env });
    try {
      expect(await ended(id)).toMatchObject({ state: 'REVOKED', task: 'interop.divide', queue: 'lovage' });
      await expect(app.result(id).get()).rejects.toMatchObject({ code: 'LOVAGE_TASK_REVOKED' });
      await eventually(() => expect(linesOf(worker, 'message:dead')).toMatchObject([{ id }]), TIMEOUT);
    } finally {
      await worker.stop();
    }
  });

  describe('as a worker that Lovage calls', () => {
    let worker: WorkerProcess;
    let images: CeleryWorker;
    let early: string;

    beforeAll(async () => {
      // Before Celery has declared anything: a caller may, in the same words.
      const first = lovage({ queues: { images: { type: 'classic' } } });
      early = (await first.task('images.resize').with({ queue: 'images' }).delay('early.png')).id;
      await first.stop();
      images = await startCeleryWorker(peer, { app: 'images', queues: ['images', 'images.urgent'], env });
      worker = await startWorker(['-A', APP], { env });
    });

    afterAll(async () => {
      await images?.stop();
      await worker?.stop();
    });

    it('runs what was sent before it had ever started', async () => {
      expect(await answerTo(early)).toMatchObject({ path: 'early.png', half: 50 });
    });

    it('takes positional and keyword arguments and a Date', async () => {
      const taken = new Date('2026-03-04T05:06:07.891Z');
      const { id } = await app.task('images.resize').with({ kwargs: { taken } }).delay('Übersicht 🌿.png', 640);
      expect(await answerTo(id)).toMatchObject({
        path: 'Übersicht 🌿.png',
        half: 320,
        taken: '2026-03-04T05:06:07.891000+00:00',
      });
    });

    it('reads header integers of any width', async () => {
      const headers = { int8: 100, int16: 200, int32: 70_000, big: 2 ** 40, negative: -129 };
      const sent = app.task('images.resize').with({ headers });
      await sent.with({ queue: 'unconsumed' }).delay('wide.png');
      expect(await python.eval(`take('unconsumed')`)).toMatchObject([headers, [['wide.png'], {}, {}]]);
      const { id } = await sent.delay('wide.png');
      expect(await answerTo(id)).toMatchObject({ path: 'wide.png' });
      expect(images.output()).not.toMatch(/Connection to broker lost|FrameSyntaxError|Traceback/);
    });

    it('is told how long a call may take', async () => {
      const limited = app.task('images.resize').with({ softTimeLimit: '1.5s', timeLimit: '30s' });
      await limited.with({ queue: 'unconsumed' }).delay('slow.png');
      expect(await python.eval(`take('unconsumed')`)).toMatchObject([{ timelimit: [30, 1.5] }, [['slow.png'], {}, {}]]);
      const { id } = await limited.delay('slow.png');
      expect(await answerTo(id)).toMatchObject({ path: 'slow.png' });
      expect(images.output()).not.toMatch(/Traceback/);
    });

    it('gets priorities on a queue that has them', async () => {
      const { id } = await app.task('images.resize').with({ queue: 'images.urgent', priority: 9 }).delay('now.png');
      expect(await answerTo(id)).toMatchObject({ path: 'now.png', priority: 9 });
    });

    /** What the Python task has sent back. */
    function answerTo(id: string): Promise<unknown> {
      return eventually(async () => {
        const found = await app.results.find({ task: 'interop.resized' });
        const record = found.find(({ args }) => args?.[0] === id);
        expect(record).toMatchObject({ state: 'SUCCESS' });
        return record?.args?.[1];
      }, TIMEOUT);
    }
  });

  it('is described in docs/how-to/celery.md by the files that were just run', () => {
    const page = readFileSync(HOW_TO, 'utf8');
    for (const file of ['python/caller.py', 'python/images.py', 'typescript/app.ts']) {
      expect(page).toContain(readFileSync(path.join(__dirname, file), 'utf8').trim());
    }
  });

  function lovage(options: LovageOptions): Lovage {
    return new Lovage({
      name: 'interop',
      broker: broker.url,
      results: results.url,
      queues: {
        images: { type: 'classic', declare: false },
        'images.urgent': { type: 'classic', maxPriority: 10, declare: false },
      },
      routes: { 'images.*': 'images' },
      ...options,
    });
  }

  function ended(id: string): Promise<TaskRecord> {
    return eventually(async () => {
      const record = await app.results.get(id);
      expect(record?.finishedAt).toBeInstanceOf(Date);
      return record as TaskRecord;
    }, TIMEOUT);
  }
});

const HOW_TO = path.join(__dirname, '..', '..', 'docs', 'how-to', 'celery.md');

/** The code block of the how-to page that holds `text`. */
function codeOf(language: string, text: string): string {
  const blocks = readFileSync(HOW_TO, 'utf8').matchAll(/^```(\w+)\n([\s\S]*?)^```/gm);
  const found = [...blocks].find(([, name, code]) => name === language && code?.includes(text));
  if (found?.[2] === undefined) throw new Error(`expected ${HOW_TO} to have a block of ${language} with ${text}`);
  return found[2];
}

function linesOf(worker: WorkerProcess, event: string): readonly LogLine[] {
  return worker.log.filter((line) => line.event === event);
}
