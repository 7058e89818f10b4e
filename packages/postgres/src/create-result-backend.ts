import type { DriverContext, ResultBackend, ResultsSettings } from '@lovage/core';
import { PostgresResultBackend } from './postgres-result-backend.js';

/**
 * The result backend of `postgres:` and `postgresql:` URLs, and of a `pg.Pool` handed in (which is never ended, and with which waiting
 * polls unless `results.listenUrl` is set). Creating does no I/O.
 * Throws LOVAGE_CONFIG if `settings.pool` is no pool.
 */
export function createResultBackend(settings: ResultsSettings, context: DriverContext): ResultBackend {
  return new PostgresResultBackend(settings, context);
}
