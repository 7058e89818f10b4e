import { Pool } from 'pg';
import { describeResultBackend } from '@lovage/testing';
import { TestSchema, serverUrl } from '../test/support.js';

describeResultBackend('postgres', async ({ expiresMs }) => {
  const schema = new TestSchema();
  await schema.migrate();
  return {
    backend: schema.backend({ expiresMs }),
    peer: schema.backend({ expiresMs }),
    dispose: () => schema.dispose(),
  };
});

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
      dispose: async () => {
        await pool.query('SELECT 1');
        await pool.end();
        await schema.dispose();
      },
    };
  },
);
