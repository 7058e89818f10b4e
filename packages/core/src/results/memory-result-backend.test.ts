import { describeResultBackend } from '@lovage/testing';
import { MemoryResultBackend, OUTBOX_LEASE_MS, systemRuntime } from '../index.js';

describeResultBackend('memory', ({ expiresMs }) => {
  let aheadMs = 0;
  const runtime = { ...systemRuntime, now: () => systemRuntime.now() + aheadMs };
  const options = { url: `memory://${systemRuntime.uuid()}`, expiresMs, runtime };
  return {
    backend: new MemoryResultBackend(options),
    peer: new MemoryResultBackend(options),
    expireLeases: async () => {
      aheadMs += OUTBOX_LEASE_MS;
    },
  };
});

describe('MemoryResultBackend', () => {
  it('takes part in no transaction', async () => {
    const { outbox } = new MemoryResultBackend({ expiresMs: 1 }).capabilities;
    const tx = { query: async () => ({ rows: [] }) };
    await expect(outbox?.enqueue([], { tx })).rejects.toMatchObject({ code: 'LOVAGE_DRIVER' });
  });
});
