import { type Postgres, startPostgres } from '../../scripts/services/postgres.js';

export type { Postgres };

export interface PrivateResultsOptions {
  /** Settings of postgresql.conf. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Files in its data folder, which it alone can read. */
  readonly files?: Readonly<Record<string, string>>;
}

/** A PostgreSQL of this test's own, to be killed and started again without harming other tests. The caller must `stop()` it. */
export async function privateResults(options: PrivateResultsOptions = {}): Promise<Postgres> {
  return startPostgres(options);
}
