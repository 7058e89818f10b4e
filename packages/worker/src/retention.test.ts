import {
  EventBus,
  LovageError,
  MemoryResultBackend,
  systemRuntime,
  type LovageEvents,
  type RevocationStore,
  type Runtime,
} from '@lovage/core';
import { eventually } from '../../../test/support/eventually.js';
import { ShiftedRuntime } from '../test/shifted-runtime.js';
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

function retain(results: MemoryResultBackend, runtime: Runtime = systemRuntime) {
  const events = new EventBus();
  const warnings: LovageEvents['warning'][] = [];
  events.on('warning', (warning) => warnings.push(warning));
  const retention = new Retention({
    results,
    events,
    runtime,
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

  it('deletes revocations that have been kept long enough, and no others', async () => {
    const runtime = new ShiftedRuntime();
    const results = new MemoryResultBackend({ expiresMs: 3_600_000, runtime });
    const revocations = results.capabilities.revocations as RevocationStore;
    const kept = async (): Promise<string[]> => (await revocations.recent(3_600_000)).map(({ id }) => id);
    await revocations.revoke(['old'], { terminate: false, reason: 'why' });
    runtime.advance(59_000);
    await revocations.revoke(['young'], { terminate: false, reason: 'why' });
    const { retention } = retain(results, runtime);
    expect(await kept()).toEqual(['old', 'young']);
    runtime.advance(2_000);
    await eventually(async () => expect(await kept()).toEqual(['young']));
    await retention.stop();
    expect(await results.states(['old'])).toEqual(new Map([['old', { state: 'REVOKED', attempt: 0 }]]));
  });

  it('goes on after a failure, and tells of one that nobody else tells of', async () => {
    const results = new Ledger();
    results.failure = new LovageError('LOVAGE_RESULTS_UNAVAILABLE', 'away');
    const { retention, warnings } = retain(results);
    await results.called(2);
    expect(warnings).toEqual([]);
    results.failure = new LovageError('LOVAGE_SCHEMA', 'the table is gone');
    await results.called(results.asked.length + 2);
    // Once of each, however often it fails.
    expect(warnings).toMatchObject([{ error: results.failure }]);
    results.failure = new LovageError('LOVAGE_ACCESS_REFUSED', 'not the owner');
    await results.called(results.asked.length + 2);
    await retention.stop();
    expect(warnings).toMatchObject([{ error: { code: 'LOVAGE_SCHEMA' } }, { error: results.failure }]);
  });
});
