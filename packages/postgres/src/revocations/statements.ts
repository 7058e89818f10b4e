import { escapeIdentifier } from 'pg';
import { type Statement, preparedStatement, statement } from '../database/statement.js';
import { freed } from '../outbox/statements.js';
import { FINAL_STATES, taskResults } from '../records/statements.js';

/** Every statement on revocations. All that they return is text. */
export interface RevocationStatements {
  /** $1 ids, sorted as commits sort them; $2 whether to terminate, $3 the reason, $4 the record's error. Returns the id of each task that is REVOKED now. */
  readonly revoke: Statement;
  /** $1 ids, $2 channels, $3 payloads. */
  readonly follow: Statement;
  /** $1 age in milliseconds. */
  readonly recent: Statement;
  /** $1 age in milliseconds, $2 limit. */
  readonly expire: Statement;
}

const AGED = `now() - $1::float8 * interval '1 millisecond'`;

export function revocationStatements(schema: string): RevocationStatements {
  const records = taskResults(schema);
  const [outbox, keys, revocations] = ['outbox', 'unique_keys', 'revocations'].map(
    (table) => `${escapeIdentifier(schema)}.${table}`,
  ) as [string, string, string];

  /** Messages that nobody has been given. One that somebody takes at this moment is his: it is dropped where it arrives. */
  const UNSENT = `SELECT id FROM ${outbox} WHERE task_id = ANY ($1::text[]) AND deliveries = 0 FOR UPDATE SKIP LOCKED`;

  return {
    /*
     * The one lock that it may wait for is that of a record, and of those it takes them in the order in which commits do: so neither holds up the other for
     * longer than a statement takes. Messages and keys that somebody has locked are passed over.
     *
     * A record that is REVOKED already applies as well, unchanged, so that its revocation is written anew: with `terminate`, perhaps.
     */
    revoke: statement(`
WITH unsent AS (
  DELETE FROM ${outbox} WHERE id = ANY (ARRAY(${UNSENT})) RETURNING task_id, task, queue, headers),
call AS (
  SELECT DISTINCT ON (task_id) *, COALESCE(headers->>'attempt', headers->>'retries', '0')::int AS attempt
  FROM unsent ORDER BY task_id, attempt DESC),
applied AS (
  INSERT INTO ${records} AS stored (id, task, state, attempt, error, retries, queue, parent_id, root_id, group_id, created_at, finished_at)
  SELECT given.id, COALESCE(task, ''), 'REVOKED', COALESCE(attempt, 0), $4::jsonb, COALESCE(headers->>'retries', '0')::int, COALESCE(queue, ''),
    headers->>'parent_id', COALESCE(headers->>'root_id', given.id), headers->>'group', now(), now()
  FROM unnest($1::text[]) WITH ORDINALITY AS given (id, place) LEFT JOIN call ON call.task_id = given.id
  ORDER BY place
  ON CONFLICT (id) DO UPDATE SET
    state = excluded.state, result = NULL, progress = NULL, worker = NULL, scheduled_at = NULL,
    error = CASE WHEN stored.state = 'REVOKED' THEN stored.error ELSE excluded.error END,
    finished_at = COALESCE(stored.finished_at, excluded.finished_at)
  WHERE stored.state = 'REVOKED' OR stored.state NOT IN (${FINAL_STATES})
  RETURNING id, finished_at = now() AS is_new),
revoked AS (
  INSERT INTO ${revocations} AS stored (id, terminate, reason, revoked_at)
  SELECT id, $2::boolean, $3::text, now() FROM applied
  ON CONFLICT (id) DO UPDATE SET terminate = stored.terminate OR excluded.terminate, reason = excluded.reason, revoked_at = excluded.revoked_at),
held AS (
  SELECT key, scope FROM ${keys} AS stored WHERE task_id IN (SELECT id FROM applied WHERE is_new) FOR UPDATE SKIP LOCKED),${freed(keys)}
SELECT id FROM applied`),

    // After the commit: takes out what a commit that was under way beside it has written, and tells.
    follow: statement(`
WITH late AS (DELETE FROM ${outbox} WHERE id = ANY (ARRAY(${UNSENT})))
SELECT pg_notify(channel, payload) FROM unnest($2::text[], $3::text[]) AS wake (channel, payload)`),

    recent: preparedStatement(`SELECT id, terminate, reason FROM ${revocations} WHERE revoked_at >= ${AGED}`),

    expire: statement(`
DELETE FROM ${revocations} WHERE id = ANY (ARRAY(
  SELECT id FROM ${revocations} WHERE revoked_at < ${AGED} ORDER BY revoked_at LIMIT $2::bigint FOR UPDATE SKIP LOCKED))
RETURNING id`),
  };
}
