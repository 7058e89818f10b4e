import { type RecordWrite, TASK_STATE_TRANSITIONS, isFinalState } from '@lovage/core';
import { escapeIdentifier } from 'pg';
import { arrayLiteral } from '../database/array-literal.js';
import { type Statement, preparedStatement, statement } from '../database/statement.js';

/** Every statement on task_results. */
export interface RecordStatements {
  /** Parameters: `upsertValues`. Returns the id of each row that it applied to. */
  readonly upsert: Statement;
  /** $1 ids. */
  readonly states: Statement;
  /** $1 ids, $2 state, $3 task, $4 since in milliseconds, $5 limit; null: any. */
  readonly find: Statement;
  /** $1 ids. Final records alone. */
  readonly findFinished: Statement;
  /** $1 ids. */
  readonly forget: Statement;
  /** $1 age in milliseconds, $2 limit. */
  readonly expire: Statement;
}

const FINAL_STATES = Object.keys(TASK_STATE_TRANSITIONS)
  .filter(isFinalState)
  .map((state) => `'${state}'`)
  .join(', ');

/** Times as milliseconds since 1970, whatever the session's DateStyle. */
const COLUMNS = `id, task, state, attempt, args, kwargs, result, error, progress, retries, queue, worker, parent_id, root_id, group_id,
  extract(epoch FROM created_at) * 1000 AS created_at,
  extract(epoch FROM started_at) * 1000 AS started_at,
  extract(epoch FROM finished_at) * 1000 AS finished_at`;

export function recordStatements(schema: string): RecordStatements {
  const table = `${escapeIdentifier(schema)}.task_results`;
  return {
    /*
     * One statement for a batch: 256 rows take about 10 ms while two such statements are under way; 256 commits of one row, 87 ms.
     * Its rows come sorted by id, each id once: unsorted batches that overlap deadlock, and an id twice fails the statement (21000).
     * What a commit causes besides the record must be inserted in this same statement, FROM a JOIN on what RETURNs: a copy of
     * the message that lost then causes nothing.
     * The guard: nothing overrides a final record or a later attempt, and within one attempt no state steps back.
     */
    upsert: preparedStatement(`
INSERT INTO ${table} AS stored (
  id, task, state, attempt, args, kwargs, result, error, progress, retries, queue, worker, parent_id, root_id, group_id,
  created_at, started_at, finished_at)
SELECT id, task, state, attempt, args::jsonb, kwargs::jsonb, result::jsonb, error::jsonb, progress::jsonb, retries, queue, worker,
  parent_id, root_id, group_id,
  now(), now() - runtime * interval '1 millisecond', CASE WHEN state IN (${FINAL_STATES}) THEN now() END
FROM unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::int[],
  $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::float8[])
  AS write (id, task, state, attempt, args, kwargs, result, error, progress, retries, queue, worker, parent_id, root_id, group_id, runtime)
ON CONFLICT (id) DO UPDATE SET
  task = excluded.task, state = excluded.state, attempt = excluded.attempt, args = excluded.args, kwargs = excluded.kwargs,
  result = excluded.result, error = excluded.error, progress = excluded.progress, retries = excluded.retries, queue = excluded.queue,
  worker = excluded.worker, parent_id = excluded.parent_id, root_id = excluded.root_id, group_id = excluded.group_id,
  started_at = COALESCE(excluded.started_at, stored.started_at), finished_at = excluded.finished_at
WHERE stored.state NOT IN (${FINAL_STATES})
  AND (stored.attempt < excluded.attempt
    OR stored.attempt = excluded.attempt AND ${rankOf('stored')} <= ${rankOf('excluded')})
RETURNING id`),

    states: preparedStatement(`SELECT id, state, attempt FROM ${table} WHERE id = ANY ($1::text[])`),

    // Planned for its values: only so can it use the partial index, and drop the conditions that are null.
    find: statement(`
SELECT ${COLUMNS} FROM ${table}
WHERE ($1::text[] IS NULL OR id = ANY ($1)) AND ($2::text IS NULL OR state = $2) AND ($3::text IS NULL OR task = $3)
  AND ($4::float8 IS NULL OR created_at >= to_timestamp($4 / 1000))
ORDER BY task_results.created_at DESC, id DESC
LIMIT $5::bigint`),

    findFinished: preparedStatement(
      `SELECT ${COLUMNS} FROM ${table} WHERE id = ANY ($1::text[]) AND state IN (${FINAL_STATES})`,
    ),

    forget: statement(`DELETE FROM ${table} WHERE id = ANY ($1::text[]) RETURNING id`),

    // Several workers may expire at once: each takes rows that no other holds.
    expire: statement(`
DELETE FROM ${table} WHERE id = ANY (ARRAY(
  SELECT id FROM ${table}
  WHERE created_at < now() - $1::float8 * interval '1 millisecond' AND finished_at < now() - $1::float8 * interval '1 millisecond'
  ORDER BY created_at LIMIT $2::bigint
  FOR UPDATE SKIP LOCKED))
RETURNING id`),
  };
}

/** The upsert's parameters: one array a column. */
export function upsertValues(records: readonly RecordWrite[]): readonly string[] {
  const column = (valueOf: (record: RecordWrite) => string | number | null): string =>
    arrayLiteral(records.map(valueOf));
  return [
    column(({ id }) => id),
    column(({ task }) => task),
    column(({ state }) => state),
    column(({ attempt }) => attempt),
    column(({ argsJson }) => argsJson),
    column(({ kwargsJson }) => kwargsJson),
    column(({ resultJson }) => resultJson),
    column(({ error }) => error && JSON.stringify(error)),
    column(({ progressJson }) => progressJson),
    column(({ retries }) => retries),
    column(({ queue }) => queue),
    column(({ worker }) => worker),
    column(({ parentId }) => parentId),
    column(({ rootId }) => rootId),
    column(({ groupId }) => groupId),
    column(({ runtimeMs }) => runtimeMs),
  ];
}

/** How far a state has come; all but these, PROGRESS and users' own, count as running. */
function rankOf(row: 'stored' | 'excluded'): string {
  return `CASE ${row}.state WHEN 'PENDING' THEN 0 WHEN 'RECEIVED' THEN 1 WHEN 'STARTED' THEN 2 ELSE 3 END`;
}
