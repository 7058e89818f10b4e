import { EventBus, LovageError, MemoryResultBackend, systemRuntime, type LovageEvents } from '@lovage/core';
import { Retention } from './retention.js';

/** Tells how many records there are to delete, and when it was asked. */
class Ledger extends MemoryResultBackend {
  readonly asked: number[] = [];
  left = 2_500;
  failure: Error | null = null;
  #watchers: (() => void)[] = [];

  constructor() {
    super({ expiresMs: 1 });
  }

  async called(times: number): Promise<void> {
    while (this.asked.length < times) await new Promise<void>((resolve) => this.#watchers.push(resolve));
  }

  override expire(limit: number): Promise<number> {
    this.asked.push(limit);
    for (const watcher of this.#watchers.splice(0)) watcher();
    if (this.failure !== null) return Promise.reject(this.failure);
    const deleted = Math.min(limit, this.left);
    this.left -= deleted;
    return Promise.resolve(deleted);
  }
}

function retain(results: Ledger) {
  const events = new EventBus();
  const warnings: LovageEvents['warning'][] = [];
  events.on('warning', (warning) => warnings.push(warning));
  const retention = new Retention({
    results,
    events,
    runtime: systemRuntime,
    keepRevocationsMs: 60_000,
    intervalMs: 2,
  });
  retention.start();
  return { retention, warnings };
}

describe('retention', () => {
  it('deletes in batches until one comes back short, again and again, until it is stopped', async () => {
    const results = new Ledger();
    const { retention } = retain(results);
    await results.called(3);
    expect(results.left).toBe(0);
    await results.called(5);
    await retention.stop();
    await retention.stop();
    expect(new Set(results.asked)).toEqual(new Set([1_000]));
  });

  it('goes on after a failure, and tells of one that nobody else tells of', async () => {
    const results = new Ledger();
    results.failure = new LovageError('LOVAGE_RESULTS_UNAVAILABLE', 'away');
    const { retention, warnings } = retain(results);
    await results.called(2);
    expect(warnings).toEqual([]);
    results.failure = new LovageError('LOVAGE_SCHEMA', 'the table is gone');
    await results.called(results.asked.length + 2);
    await retention.stop();
    expect(warnings[0]).toMatchObject({ error: results.failure });
  });
});
