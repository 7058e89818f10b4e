import { type RecordWrite, TASK_STATE_TRANSITIONS, isFinalState } from '@lovage/core';
import { escapeIdentifier } from 'pg';
import { type Columns, columnsOf, rowsOf } from '../database/columns.js';
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
  /** From this table, which may be a partition: $1 age in milliseconds, $2 limit. */
  readonly expire: (table: string) => Statement;
  /** The part of `expire` that deletes what waits in vain: $1 age in milliseconds, $2 limit. */
  readonly expireWaiting: Statement;
}

/** As a list in SQL. */
export const FINAL_STATES = Object.keys(TASK_STATE_TRANSITIONS)
  .filter(isFinalState)
  .map((state) => `'${state}'`)
  .join(', ');

/** Times as milliseconds since 1970, whatever the session's DateStyle. */
const COLUMNS = `id, task, state, attempt, args, kwargs, result, error, progress, retries, queue, worker, parent_id, root_id, group_id,
  extract(epoch FROM created_at) * 1000 AS created_at,
  extract(epoch FROM started_at) * 1000 AS started_at,
  extract(epoch FROM finished_at) * 1000 AS finished_at,
  round(extract(epoch FROM scheduled_at) * 1000) AS scheduled_at, history`;

/** What a write says of a task that does not wait. */
const WRITE: Columns<RecordWrite> = [
  ['id', 'text', ({ id }) => id],
  ['task', 'text', ({ task }) => task],
  ['state', 'text', ({ state }) => state],
  ['attempt', 'int', ({ attempt }) => attempt],
  ['args', 'text', ({ argsJson }) => argsJson],
  ['kwargs', 'text', ({ kwargsJson }) => kwargsJson],
  ['result', 'text', ({ resultJson }) => resultJson],
  ['error', 'text', ({ error }) => error && JSON.stringify(error)],
  ['progress', 'text', ({ progressJson }) => progressJson],
  ['retries', 'int', ({ retries }) => retries],
  ['queue', 'text', ({ queue }) => queue],
  ['worker', 'text', ({ worker }) => worker],
  ['parent_id', 'text', ({ parentId }) => parentId],
  ['root_id', 'text', ({ id, rootId }) => (rootId === id ? null : rootId)],
  ['group_id', 'text', ({ groupId }) => groupId],
  // Whole numbers, which both sides write and read several times as fast.
  ['runtime_us', 'bigint', ({ runtimeMs }) => runtimeMs && Math.round(runtimeMs * 1000)],
];

/** The same of one that may wait. */
export const WAITING_WRITE: Columns<RecordWrite> = [
  ...WRITE,
  ['due_in', 'float8', ({ due }) => (due !== null && 'inMs' in due ? due.inMs : null)],
  ['due_on', 'float8', ({ due }) => (due !== null && 'at' in due ? due.at.getTime() : null)],
];

const INTO = `id, task, state, attempt, args, kwargs, result, error, progress, retries, queue, worker, parent_id, root_id, group_id,
  created_at, started_at, finished_at`;

const SELECTED = `id, task, state, attempt, args::jsonb, kwargs::jsonb, result::jsonb, error::jsonb, progress::jsonb, retries, queue, worker,
  parent_id, COALESCE(root_id, id), group_id,
  now(), now() - runtime_us * interval '1 microsecond', CASE WHEN state IN (${FINAL_STATES}) THEN now() END`;

/**
 * The guard: nothing overrides a final record or a later attempt, within one attempt no state steps back, and one that announces an
 * attempt (rank 0) applies over earlier ones alone. But a task that was revoked before anything was known of it is told of: its end stays.
 */
const GUARD = `stored.state NOT IN (${FINAL_STATES})
  AND (stored.attempt < excluded.attempt
    OR stored.attempt = excluded.attempt AND ${rankOf('excluded')} > 0 AND ${rankOf('stored')} <= ${rankOf('excluded')})
  OR stored.state = 'REVOKED' AND stored.task = '' AND excluded.state = 'REVOKED' AND excluded.task <> ''`;

const UPSERT = `ON CONFLICT (id) DO UPDATE SET
  task = excluded.task, state = excluded.state, attempt = excluded.attempt, args = excluded.args, kwargs = excluded.kwargs,
  result = excluded.result, error = CASE stored.state WHEN 'REVOKED' THEN stored.error ELSE excluded.error END,
  progress = excluded.progress, retries = excluded.retries, queue = excluded.queue,
  worker = excluded.worker, parent_id = excluded.parent_id, root_id = excluded.root_id, group_id = excluded.group_id,
  started_at = COALESCE(excluded.started_at, stored.started_at),
  finished_at = COALESCE(stored.finished_at, excluded.finished_at), scheduled_at = excluded.scheduled_at
WHERE ${GUARD}`;

const AGED = `now() - $1::float8 * interval '1 millisecond'`;

export function taskResults(schema: string): string {
  return `${escapeIdentifier(schema)}.task_results`;
}

/**
 * When something is due, of a row with `due_in` and `due_on`; null: it has no time. By the clock: now() is the BEGIN of a user's transaction, and
 * of a commit that had to wait. Each mention is another instant.
 */
export const DUE_TIME = `COALESCE(to_timestamp(due_on / 1000), clock_timestamp() + due_in * interval '1 millisecond')`;

/** Inserts the `WAITING_WRITE`s of the parameters from $1 on; `onConflict` says what becomes of those that are there. */
export function insertWaiting(schema: string, onConflict: 'upsert' | 'nothing'): string {
  const conflict = onConflict === 'upsert' ? UPSERT : 'ON CONFLICT (id) DO NOTHING';
  return `INSERT INTO ${taskResults(schema)} AS stored (${INTO}, scheduled_at)
SELECT ${SELECTED}, ${DUE_TIME}
FROM ${rowsOf(WAITING_WRITE, 1, 'write')}
${conflict}`;
}

export interface RecordStatementsOptions {
  /** false: an end that causes nothing more is committed before it is on disk. Default true: as the server is set. */
  readonly synchronousCommit?: boolean;
}

export function recordStatements(schema: string, options: RecordStatementsOptions = {}): RecordStatements {
  const table = taskResults(schema);
  const outbox = `${escapeIdentifier(schema)}.outbox`;

  /** No message is left that might end it: workers of another kind ran it. */
  const WAITS_IN_VAIN = `state IN ('PENDING', 'RETRY') AND COALESCE(scheduled_at, created_at) < ${AGED}
        AND NOT EXISTS (SELECT FROM ${outbox} WHERE outbox.task_id = stored.id AND outbox.eta IS NOT NULL)`;

  /** Several workers may do it at once: each takes rows that no other holds. */
  const deleteOldest = (from: string, condition: string): Statement =>
    statement(`
DELETE FROM ${from} WHERE id = ANY (ARRAY(
  SELECT id FROM ${from} AS stored
  WHERE created_at < ${AGED} AND ${condition}
  ORDER BY created_at LIMIT $2::bigint
  FOR UPDATE SKIP LOCKED))
RETURNING id`);

  return {
    /*
     * One statement for a batch: 256 rows take about 10 ms while two such statements are under way; 256 commits of one row, 87 ms.
     * Its rows come sorted by id, each id once: unsorted batches that overlap deadlock, and an id twice fails the statement (21000).
     * What a commit causes besides the record is in the statement `commit` of the outbox, which costs more.
     */
    upsert: preparedStatement(
      (options.synchronousCommit === false ? notOnDisk : (write: string) => write)(`
INSERT INTO ${table} AS stored (${INTO})
SELECT ${SELECTED}
FROM ${rowsOf(WRITE, 1, 'write')}
${UPSERT}
RETURNING id`),
    ),

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

    expire: (name) =>
      deleteOldest(`${escapeIdentifier(schema)}.${name}`, `(finished_at < ${AGED} OR ${WAITS_IN_VAIN})`),

    expireWaiting: deleteOldest(table, WAITS_IN_VAIN),
  };
}

/** That write, whose transaction does not wait for the disk. It stands in the statement, since a pooler shares sessions. */
function notOnDisk(write: string): string {
  return `WITH setting AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true)), applied AS (${write})
SELECT id FROM applied, setting`;
}

/** The upsert's parameters. */
export function upsertValues(records: readonly RecordWrite[]): readonly string[] {
  return columnsOf(WRITE, records);
}

/** How far a state has come; all but these, PROGRESS and users' own, count as running. */
function rankOf(row: 'stored' | 'excluded'): string {
  return `CASE ${row}.state WHEN 'PENDING' THEN 0 WHEN 'RETRY' THEN 0 WHEN 'RECEIVED' THEN 1 WHEN 'STARTED' THEN 2 ELSE 3 END`;
}
