import { systemRuntime, type EventName } from '@lovage/core';
import { Retrier } from './retrier.js';

function retrierOf() {
  const abort = new AbortController();
  const warnings: unknown[] = [];
  const events = {
    emit: (name: EventName, event: unknown) => void (name === 'warning' && warnings.push(event)),
    has: () => true,
  };
  return {
    abort,
    warnings,
    retrier: new Retrier({ what: 'work', events, runtime: systemRuntime, signal: abort.signal }),
  };
}

describe('a retrier', () => {
  it('tries until it works, and warns once', async () => {
    const { retrier, warnings } = retrierOf();
    let calls = 0;
    const work = async () => {
      calls += 1;
      if (calls < 3) throw new Error('away');
      return calls;
    };
    await expect(retrier.run(work)).resolves.toBe(3);
    expect(warnings).toHaveLength(1);
    expect(retrier.failing).toBe(false);
  });

  it('ends what uses it when it is stopped', async () => {
    const { retrier, abort } = retrierOf();
    const ending = retrier.untilStopped(() => retrier.run(() => Promise.reject(new Error('away'))));
    abort.abort();
    await expect(ending).resolves.toBeUndefined();
  });

  it('hides no defect', async () => {
    const { retrier } = retrierOf();
    const defect = () => Promise.reject(new TypeError('a defect'));
    await expect(retrier.untilStopped(defect)).rejects.toThrow('a defect');
  });
});
