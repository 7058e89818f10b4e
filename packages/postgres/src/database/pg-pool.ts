import { LovageError, expected } from '@lovage/core';
import type { PoolClient } from 'pg';

/** What is used of a `pg.Pool`; a user's own may come from another copy of pg. */
export interface PgPool {
  connect(): Promise<PoolClient>;
  on?(name: 'error', listener: (error: Error) => void): unknown;
  off?(name: 'error', listener: (error: Error) => void): unknown;
}

/** Checks by shape that a value handed in is a pool. Throws LOVAGE_CONFIG. */
export function asPgPool(value: unknown): PgPool {
  const { query, connect } = (value ?? {}) as { readonly query?: unknown; readonly connect?: unknown };
  if (typeof query === 'function' && typeof connect === 'function') return value as PgPool;
  throw new LovageError(
    'LOVAGE_CONFIG',
    expected('results', 'a URL, a ResultBackend or a pg.Pool (with `query` and `connect`)', value),
  );
}
