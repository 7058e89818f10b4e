import { Pool } from 'pg';
import { OUTBOX_LEASE_MS } from '@lovage/core';
import { describeResultBackend } from '@lovage/testing';
import { TestSchema, serverUrl } from '../test/support.js';

// One schema for all tests of a kind, emptied after each: to create one takes longer than most tests.
const plain = new TestSchema();
const partitioned = new TestSchema();
const odd = new TestSchema({ name: `Odd "name" ${process.hrtime.bigint()}` });

beforeAll(async () => {
  await Promise.all([plain.migrate(), partitioned.migrate({ partitionBy: 'day' }), odd.migrate()]);
});
afterAll(async () => {
  await Promise.all([plain.dispose(), partitioned.dispose(), odd.dispose()]);
});

describeResultBackend('postgres', ({ expiresMs }) => ({
  backend: plain.backend({ expiresMs }),
  peer: plain.backend({ expiresMs }),
  expireLeases: () => expireLeases(plain),
  dispose: () => empty(plain),
}));

describeResultBackend('postgres, in partitions', ({ expiresMs }) => ({
  backend: partitioned.backend({ expiresMs }),
  peer: partitioned.backend({ expiresMs }),
  expireLeases: () => expireLeases(partitioned),
  dispose: () => empty(partitioned),
}));

async function empty(schema: TestSchema): Promise<void> {
  // To truncate them takes longer than most tests.
  const tables = ['task_results', 'outbox', 'unique_keys', 'revocations', 'starts'];
  await schema.sql(tables.map((table) => `DELETE FROM ${table}`).join(';'));
}

async function expireLeases(schema: TestSchema): Promise<void> {
  const lease = `interval '${OUTBOX_LEASE_MS} milliseconds'`;
  await schema.sql(`UPDATE outbox SET due_at = due_at - ${lease}, eta = eta - ${lease}`);
}

const NOBODY_LISTENS = 'nothing listens behind a pool';

describeResultBackend(
  'postgres, with a pool handed in, no prepared statements, no synchronous commits and an odd schema name',
  ({ expiresMs }) => {
    const pool = new Pool({ connectionString: serverUrl(), max: 2 });
    const settings = { expiresMs, pool, url: '', prepare: false, synchronousCommit: false };
    return {
      backend: odd.backend(settings),
      peer: odd.backend(settings),
      expireLeases: () => expireLeases(odd),
      dispose: async () => {
        await pool.query('SELECT 1');
        await pool.end();
        await empty(odd);
      },
    };
  },
  {
    skip: {
      'tells of a row that is due at once, until it is stopped': NOBODY_LISTENS,
      'is told to those who watch when it is handed back': NOBODY_LISTENS,
      'tells whoever watches, until that is ended': NOBODY_LISTENS,
    },
  },
);
