import { Pool } from 'pg';
import { OUTBOX_LEASE_MS } from '@lovage/core';
import { describeResultBackend } from '@lovage/testing';
import { TestSchema, serverUrl } from '../test/support.js';

describeResultBackend('postgres', async ({ expiresMs }) => {
  const schema = new TestSchema();
  await schema.migrate();
  return {
    backend: schema.backend({ expiresMs }),
    peer: schema.backend({ expiresMs }),
    expireLeases: () => expireLeases(schema),
    dispose: () => schema.dispose(),
  };
});

async function expireLeases(schema: TestSchema): Promise<void> {
  const lease = `interval '${OUTBOX_LEASE_MS} milliseconds'`;
  await schema.sql(`UPDATE outbox SET due_at = due_at - ${lease}, eta = eta - ${lease}`);
}

describeResultBackend(
  'postgres, with a pool handed in, no prepared statements and an odd schema name',
  async ({ expiresMs }) => {
    const schema = new TestSchema({ name: `Odd "name" ${process.hrtime.bigint()}` });
    await schema.migrate();
    const pool = new Pool({ connectionString: serverUrl(), max: 2 });
    const settings = { expiresMs, pool, url: '', prepare: false };
    return {
      backend: schema.backend(settings),
      peer: schema.backend(settings),
      expireLeases: () => expireLeases(schema),
      dispose: async () => {
        await pool.query('SELECT 1');
        await pool.end();
        await schema.dispose();
      },
    };
  },
  { skip: { 'tells of a row that is due at once, until it is stopped': 'nothing listens behind a pool' } },
);
