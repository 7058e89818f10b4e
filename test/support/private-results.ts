import { type Postgres, startPostgres } from '../../scripts/services/postgres.js';

export type { Postgres };

/** A PostgreSQL of this test's own, to be killed and started again without harming other tests. The caller must `stop()` it. */
export async function privateResults(): Promise<Postgres> {
  return startPostgres();
}
