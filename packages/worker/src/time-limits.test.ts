import { Task, type TimeLimits } from '@lovage/core';
import { Gated } from '../test/gated-task.js';
import { Rig, messageOf } from '../test/rig.js';

@Task({ name: 'slow', timeLimit: 20, retry: { max: 1, backoff: 0, jitter: false } })
class Slow {
  static heard: string[] = [];

  onSuccess(): void {
    Slow.heard.push('success');
  }
  onFailure(): void {
    Slow.heard.push('failure');
  }
  run(): Promise<unknown> {
    return new Gated().run();
  }
}

let rig: Rig;
const run = (index: number) => Gated.run(index);
const limits = (softMs: number | null, hardMs: number | null): { readonly timeLimits: TimeLimits } => ({
  timeLimits: { softMs, hardMs },
});

/** Resolves when the signal of a run has aborted. */
async function aborted(index: number): Promise<AbortSignal> {
  await Gated.running(index + 1);
  const signal = run(index).signal();
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve));
  return signal;
}

beforeEach(async () => {
  Gated.runs = [];
  Slow.heard = [];
  rig = new Rig({ tasks: [Gated, Slow], worker: { concurrency: 1, shutdownTimeout: 0 } });
  await rig.worker.start();
});
afterEach(() => rig.stop());

const recordOf = async (id: string) => (await rig.results.find({ ids: [id] }))[0];

describe('a soft time limit', () => {
  it('aborts the signal of a task, which may still return', async () => {
    await rig.publish(messageOf('gated', { id: 'a', ...limits(10, null) }));
    const { reason } = await aborted(0);
    expect(reason).toMatchObject({
      name: 'SoftTimeLimitError',
      code: 'LOVAGE_SOFT_TIME_LIMIT',
      message: 'the task has run for 0.01 s, its softTimeLimit',
    });
    run(0).gate.resolve('half of it');
    await rig.seen('task:succeeded');
    await expect(recordOf('a')).resolves.toMatchObject({ state: 'SUCCESS', result: 'half of it' });
  });

  it('makes what the task throws then its own failure', async () => {
    await rig.publish(messageOf('gated', { id: 'a', ...limits(10, null) }));
    const { reason } = await aborted(0);
    run(0).gate.reject(reason);
    await rig.seen('task:failed');
    await expect(recordOf('a')).resolves.toMatchObject({
      state: 'FAILURE',
      error: { type: 'SoftTimeLimitError', code: 'LOVAGE_SOFT_TIME_LIMIT' },
    });
  });

  it('is a failure to be retried like any other', async () => {
    await rig.publish(messageOf('slow', { id: 'a', ...limits(10, 60_000) }));
    const { reason } = await aborted(0);
    run(0).gate.reject(reason);
    await rig.seen('task:retried');
    // With the limits of the call, and all of the time anew.
    await aborted(1);
  });

  it('is not taken for a stop of the worker, if that comes later', async () => {
    await rig.publish(messageOf('gated', { id: 'a', ...limits(10, null) }));
    const { reason } = await aborted(0);
    const stopping = rig.worker.stop();
    run(0).gate.reject(reason);
    await expect(stopping).resolves.toEqual({ finished: 1, abandoned: 0, returned: 0, strays: 0 });
    await expect(recordOf('a')).resolves.toMatchObject({ state: 'FAILURE' });
  });
});

describe('a hard time limit', () => {
  it('ends the task without it, tells it so, and gives its slot to the next one', async () => {
    await rig.publish(messageOf('gated', { id: 'endless', ...limits(null, 10) }), messageOf('gated', { id: 'next' }));
    const { reason } = await aborted(0);
    expect(reason).toMatchObject({ name: 'TimeLimitError' });
    await Gated.running(2);
    expect(run(1).id).toBe('next');
    const [{ message }] = (await rig.seen('warning')) as [{ message: string }];
    expect(message).toContain('task gated[endless] has ended, but its code does not hear of it and goes on');
    await expect(recordOf('endless')).resolves.toMatchObject({
      state: 'FAILURE',
      error: {
        type: 'TimeLimitError',
        code: 'LOVAGE_TIME_LIMIT',
        message: 'the task had not ended after 0.01 s, its timeLimit',
        stack: null,
      },
    });
    expect(rig.worker.strays).toBe(1);
    await expect(rig.worker.stop({ now: true })).resolves.toMatchObject({ abandoned: 1, strays: 1 });
  });

  it('is nothing to warn of where the task heeds its signal', async () => {
    await rig.publish(messageOf('gated', { id: 'polite', ...limits(null, 10) }));
    await Gated.running(1);
    run(0)
      .signal()
      .addEventListener('abort', () => run(0).gate.resolve('too late'));
    await rig.seen('task:failed');
    while (rig.worker.strays > 0) await new Promise(setImmediate);
    expect(rig.of('warning')).toEqual([]);
    await expect(recordOf('polite')).resolves.toMatchObject({ state: 'FAILURE', result: null });
  });

  it('is final: no retry is made of it, and no hook of the task hears of what comes later', async () => {
    await rig.publish(messageOf('slow', { id: 'a' }));
    await rig.seen('task:failed');
    run(0).gate.resolve('too late');
    while (rig.worker.strays > 0) await new Promise(setImmediate);
    await expect(recordOf('a')).resolves.toMatchObject({ state: 'FAILURE', error: { code: 'LOVAGE_TIME_LIMIT' } });
    expect(rig.of('task:retried')).toEqual([]);
    expect(Slow.heard).toEqual([]);
  });

  it('of a call stands in for that of its task', async () => {
    await rig.app.task(Slow).with({ softTimeLimit: 30, timeLimit: '1m' }).delay();
    await aborted(0);
    run(0).gate.resolve('in time');
    await rig.seen('task:succeeded');
    expect(Slow.heard).toEqual(['success']);
  });
});
