import type { TaskAttempt } from '@lovage/core';
import { escapeIdentifier } from 'pg';
import { type Columns, rowsOf } from '../database/columns.js';
import { type Statement, preparedStatement } from '../database/statement.js';

/** Every statement on starts. */
export interface StartStatements {
  /** `ATTEMPT`. */
  readonly unended: Statement;
  /** `ATTEMPT`. */
  readonly begin: Statement;
  /** `ATTEMPT`. */
  readonly takeBack: Statement;
  /** `ATTEMPT`. */
  readonly end: Statement;
  /** $1 age in milliseconds, $2 limit. */
  readonly sweep: Statement;
}

export const ATTEMPT: Columns<TaskAttempt> = [
  ['id', 'text', ({ id }) => id],
  ['attempt', 'int', ({ attempt }) => attempt],
];

export function startStatements(schema: string): StartStatements {
  const starts = `${escapeIdentifier(schema)}.starts`;
  const GIVEN = rowsOf(ATTEMPT, 1, 'given');
  /** Each once, in the order in which all statements lock rows. */
  const COUNTED = `SELECT id, attempt, count(*)::int AS starts FROM ${GIVEN} GROUP BY id, attempt ORDER BY id, attempt`;

  return {
    unended: preparedStatement(
      `SELECT stored.id, stored.attempt, stored.starts FROM ${GIVEN} JOIN ${starts} AS stored USING (id, attempt)`,
    ),

    /*
     * Not waited for until it is on disk: what dies is the worker. Where the server dies too, a count is one too low.
     */
    begin: preparedStatement(`
WITH setting AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true) AS value),
begun AS (
  INSERT INTO ${starts} AS stored (id, attempt, starts, started_at)
  SELECT id, attempt, starts, now() FROM (${COUNTED}) AS counted
  ON CONFLICT (id, attempt) DO UPDATE SET starts = stored.starts + excluded.starts, started_at = excluded.started_at)
SELECT value FROM setting`),

    takeBack: preparedStatement(`
WITH taken AS (
  SELECT stored.id, stored.attempt, stored.starts - counted.starts AS left_over FROM (${COUNTED}) AS counted
  JOIN ${starts} AS stored USING (id, attempt) ORDER BY stored.id, stored.attempt FOR UPDATE OF stored),
gone AS (
  DELETE FROM ${starts} AS stored USING taken
  WHERE stored.id = taken.id AND stored.attempt = taken.attempt AND left_over <= 0)
UPDATE ${starts} AS stored SET starts = left_over FROM taken
WHERE stored.id = taken.id AND stored.attempt = taken.attempt AND left_over > 0`),

    end: preparedStatement(`
WITH setting AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true) AS value),
ended AS (
  SELECT stored.id, stored.attempt FROM (SELECT id, max(attempt) AS attempt FROM ${GIVEN} GROUP BY id) AS given
  JOIN ${starts} AS stored ON stored.id = given.id AND stored.attempt <= given.attempt
  ORDER BY stored.id, stored.attempt FOR UPDATE OF stored),
gone AS (DELETE FROM ${starts} AS stored USING ended WHERE stored.id = ended.id AND stored.attempt = ended.attempt)
SELECT value FROM setting`),

    sweep: preparedStatement(`
DELETE FROM ${starts} WHERE (id, attempt) IN (
  SELECT id, attempt FROM ${starts} WHERE started_at < now() - $1::float8 * interval '1 millisecond'
  ORDER BY started_at LIMIT $2::bigint FOR UPDATE SKIP LOCKED)`),
  };
}
