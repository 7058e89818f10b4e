import { type AsyncResult, isLovageError } from 'lovage';
import { BAD_RESULTS, ODD_RESULTS } from './bad-input/bad-results.js';
import { BAD_THROWS } from './bad-input/bad-throws.js';
import { Scene } from './bad-input/scene.js';
import { eventually } from '../support/eventually.js';

jest.setTimeout(60_000);

const WAVE = 256;
const BAD_INDEX = 77;
/** A test takes up to 600 MB for a string of 300 MB and a copy of it; the rest is Node and the app. */
const MAX_PEAK = 1.5e9;

/** What each result that cannot be stored is refused with. */
const REFUSALS: Readonly<Record<string, RegExp>> = {
  'a cycle': /^the result of bad\.member cannot be stored: result\.self\[0\]: a cycle cannot travel$/,
  'a function': /result\.callback: a function cannot travel/,
  'a symbol': /result\[0\]: a symbol cannot travel/,
  'a promise inside': /result\.later: a promise cannot travel: await it first/,
  'a rejected promise inside': /result\.later: a promise cannot travel: await it first/,
  'an invalid date': /result\[0\]: an invalid Date cannot travel/,
  'a NUL': /NUL character/,
  'a NUL in a key': /NUL character/,
  'a lone surrogate': /lone surrogate/,
  'a NUL beside a date': /NUL character/,
  '2 MB': /larger than 1000000 bytes/,
  '2 MB in small pieces': /larger than 1000000 bytes/,
  '300 MB': /larger than 1000000 bytes/,
  '300 MB beside a date': /larger than 1000000 bytes/,
  '300 MB of bytes': /larger than 1000000 bytes/,
  'an array of 2 ** 31 holes': /larger than 1000000 bytes/,
  'nesting 1,001 deep': /nesting deeper than 1000 levels/,
  'nesting 100,000 deep': /nesting deeper than 1000 levels/,
  'a getter that throws': /do not touch/,
  'a toJSON that throws': /do not write/,
  'a toJSON that throws a null object': /could not be read/,
  'a Proxy that throws': /do not look/,
  'a Proxy of an array that never ends': /larger than 1000000 bytes/,
  'a revoked Proxy': /revoked/,
  'a thenable that throws': /do not await/,
};

let scene: Scene;
beforeAll(async () => {
  scene = await Scene.open(['--concurrency', '300']);
});
afterAll(() => scene?.close());

const sizes: Record<string, number> = {};

/** Runs tasks that end in one turn of the event loop, all healthy but one; gives what that one came to. */
async function amongHealthy(kind: string): Promise<unknown> {
  const wave = `${kind} ${Object.keys(sizes).length}`;
  const sent = await scene.app
    .task<[string, number, number, string], unknown>('bad.member')
    .delayMany(
      Array.from({ length: WAVE }, (_, index) => [wave, index, WAVE, index === BAD_INDEX ? kind : 'healthy'] as const),
    );
  const bad = sent[BAD_INDEX] as AsyncResult<unknown>;
  const results = sent.filter((result) => result !== bad);
  const outcome = await bad.get({ timeout: '40s' }).catch((error: unknown) => error);
  const healthy = await Promise.all(results.map((result) => result.get({ timeout: '20s' })));
  expect(healthy).toEqual(Array.from({ length: WAVE }, (_, index) => index).filter((index) => index !== BAD_INDEX));
  const state = await bad.state();
  sizes[wave] = scene.peakMemory();
  expect({ kind, state }).toEqual({ kind, state: isLovageError(outcome) ? 'FAILURE' : 'SUCCESS' });
  expect(
    await scene.app.results.find({ ids: results.map(({ id }) => id), state: 'SUCCESS', limit: WAVE }),
  ).toHaveLength(WAVE - 1);
  return outcome;
}

describe('a result that no record can hold, among 255 healthy ones', () => {
  it('is tried in all its kinds', () => {
    expect(Object.keys(REFUSALS)).toEqual(Object.keys(BAD_RESULTS));
  });

  it.each(Object.keys(BAD_RESULTS))('%s ends FAILURE', async (kind) => {
    const outcome = await amongHealthy(kind);
    expect(outcome).toMatchObject({ code: 'LOVAGE_TASK_FAILED', cause: { message: expect.any(String) as string } });
    const { cause } = outcome as { readonly cause: Error };
    expect(cause.message).toMatch(REFUSALS[kind] as RegExp);
    // `await` meets these inside of the task: the throw is the task's own.
    if (kind === 'a thenable that throws' || kind === 'a Proxy that throws') expect(cause.name).toBe('Error');
    else expect(cause).toMatchObject({ name: 'ResultNotStorableError', code: 'LOVAGE_RESULT_NOT_STORABLE' });
  });
});

describe('a result that JSON lacks, among 255 healthy ones', () => {
  it.each(Object.entries(ODD_RESULTS))('%s ends SUCCESS', async (kind, { got }) => {
    expect(await amongHealthy(kind)).toEqual(got);
  });
});

describe('whatever is thrown, among 255 healthy ones', () => {
  it.each(Object.entries(BAD_THROWS))('%s ends FAILURE', async (kind, { type, message }) => {
    const outcome = await amongHealthy(`throws ${kind}`);
    expect(outcome).toMatchObject({ code: 'LOVAGE_TASK_FAILED', cause: { name: type } });
    const { cause } = outcome as { readonly cause: Error };
    expect(cause.message.slice(0, message.length)).toBe(message);
    expect(cause.message.length).toBeLessThanOrEqual(64_000);
  });
});

describe('progress that no record can hold', () => {
  it.each(['a NUL', 'a lone surrogate', '2 MB'])('%s is passed over', async (kind) => {
    const result = await scene.app.task<[string], string>('bad.progress').delay(kind);
    await expect(result.get({ timeout: '20s' })).resolves.toBe('ended');
  });

  it.each(['a cycle', '300 MB', 'a getter that throws'])('%s is an error of the task', async (kind) => {
    const result = await scene.app.task<[string], string>('bad.progress').delay(kind);
    await expect(result.get({ timeout: '20s' })).rejects.toMatchObject({ cause: { name: 'PayloadError' } });
  });
});

describe('what a task leaves dangling', () => {
  it.each([
    ['rejects later', 'rejected later'],
    ['rejects later with a null object', 'null prototype'],
    ['throws in a timer', 'thrown in a timer'],
    ['throws a null object in a timer', 'null prototype'],
    ['throws an error with getters that throw in a timer', 'Error'],
    ['throws a Proxy in a timer', ''],
  ])('%s: logged, and nothing else', async (kind, words) => {
    const before = errorLines().length;
    const result = await scene.app.task<[string], string>('bad.dangling').delay(kind);
    await expect(result.get({ timeout: '20s' })).resolves.toBe('ended');
    await eventually(() => expect(errorLines().length).toBeGreaterThan(before));
    expect(errorLines().slice(before).join('\n')).toContain(words);
    expect(errorLines()[before]).toMatch(/nobody awaited it|outside of any call/);
    await scene.vitals();
  });

  function errorLines(): readonly string[] {
    return scene.worker.log
      .filter(({ level, event }) => level === 'error' && event === undefined)
      .map(({ message }) => message);
  }
});

describe('a task that cannot be made', () => {
  it.each([
    ['bad.constructor', 'SyntaxError', 'no such instance'],
    ['bad.resolver-throws', 'RangeError', 'the container is broken'],
    ['bad.resolver-rejects', 'RangeError', 'the container is broken later'],
    ['bad.resolver-nothing', 'TaskDefinitionError', "the app's resolver gave no instance of ResolverGivesNothing"],
  ])('%s ends FAILURE', async (task, name, message) => {
    const error = await scene.outcome((await scene.app.task(task).delay()).id);
    expect(error).toMatchObject({ code: 'LOVAGE_TASK_FAILED', cause: { name } });
    expect((error as Error).message).toContain(message);
  });
});

describe('after all of it', () => {
  it('the worker is the same process, unpolluted and of sane size', async () => {
    const { rss } = await scene.vitals();
    expect({ rss, sane: rss < 800e6 }).toEqual({ rss, sane: true });
    const peak = scene.peakMemory();
    expect({ peak, sizes, sane: peak < MAX_PEAK }).toEqual({ peak, sizes, sane: true });
  });

  it('nothing is left in a queue, nothing is unacknowledged, and no password was printed', async () => {
    await scene.expectNothingLeft();
  });
});
