import {
  type Completion,
  OUTBOX_LEASE_MS,
  type OutboxCall,
  type OutboxMessage,
  type UniqueClaim,
  type UniqueHold,
} from '@lovage/core';
import { escapeIdentifier } from 'pg';
import { arrayLiteral } from '../database/array-literal.js';
import { type Columns, columnsOf, rowsOf } from '../database/columns.js';
import { type Statement, preparedStatement, statement } from '../database/statement.js';
import { bodyOf, propertiesOf } from './outbox-row.js';
import { priorityIn } from './priority-in.js';
import { DUE_TIME, FINAL_STATES, WAITING_WRITE, insertWaiting, taskResults } from '../records/statements.js';

/** Every statement on outbox and unique_keys. All that they return is text. */
export interface OutboxStatements {
  /** `WAITING_WRITE`, `SENDING`, `HOLD`, the ids of parked rows. Returns the id of each record that it applied to. */
  readonly commit: Statement;
  /** `WAITING_WRITE`, `SENDING`, the channel. Returns the id of each row of the outbox. */
  readonly enqueue: Statement;
  /** As `enqueue`, of one call. */
  readonly requeue: Statement;
  /** $1 limit. At least one row, of `now` and `next` alone if nothing is due. */
  readonly claim: Statement;
  /** `SENDING`. */
  readonly park: Statement;
  /** $1 ids of rows, $2 milliseconds, $3 the channel. Returns the id of each row. */
  readonly renew: Statement;
  /** $1 ids of rows. */
  readonly remove: Statement;
  /** $1 task, $2 queue, null: any; $3 limit. */
  readonly scheduled: Statement;
  /** $1 task ids; $2 task, $3 queue, null: any; $4 limit. */
  readonly scheduledTasks: Statement;
  /** $1 task ids, $2 the record's error. Returns the id of each record that it applied to, with its `reply_to`. */
  readonly cancel: Statement;
  /** $1 keys. Of these, those that have run out. */
  readonly dropKeys: Statement;
  /** `CLAIM`. Returns each key that was free, as `taken`, and each whose call has a record already, as `known`. */
  readonly takeKeys: Statement;
  /** $1 keys. */
  readonly holders: Statement;
  /** `HOLD`. */
  readonly release: Statement;
  /** $1 limit. */
  readonly sweepKeys: Statement;
}

/** A message on its way into the table. */
export interface Sending {
  /** The record whose write causes it; null: it needs none. */
  readonly cause: string | null;
  readonly message: OutboxMessage;
}

export const SENDING: Columns<Sending> = [
  ['cause', 'text', ({ cause }) => cause],
  ['row_id', 'uuid', ({ message }) => message.rowId],
  ['task_id', 'text', ({ message }) => message.taskId],
  ['task', 'text', ({ message }) => message.task],
  ['queue', 'text', ({ message }) => message.message.queue],
  ['due_in', 'float8', ({ message: { due } }) => (due !== null && 'inMs' in due ? due.inMs : null)],
  ['due_on', 'float8', ({ message: { due } }) => (due !== null && 'at' in due ? due.at.getTime() : null)],
  ['headers', 'text', ({ message }) => JSON.stringify(message.message.headers)],
  ['properties', 'text', ({ message }) => propertiesOf(message.message)],
  ['body', 'text', ({ message }) => bodyOf(message.message)],
  ['priority', 'int', ({ message }) => message.message.priority ?? 0],
];

export const HOLD: Columns<UniqueHold> = [
  ['key', 'text', ({ key }) => key],
  ['task_id', 'text', ({ taskId }) => taskId],
];

/** A call that wants a key. */
export interface UniqueCall extends Pick<OutboxCall, 'taskId' | 'record' | 'due'> {
  readonly unique: UniqueClaim;
}

export const CLAIM: Columns<UniqueCall> = [
  ['key', 'text', ({ unique }) => unique.key],
  ['task_id', 'text', ({ taskId }) => taskId],
  ['record_id', 'text', ({ record, taskId }) => record && taskId],
  ['scope', 'text', ({ unique }) => unique.scope],
  ['ttl', 'float8', ({ unique }) => unique.ttlMs],
  ['due_in', 'float8', ({ due }) => (due !== null && 'inMs' in due ? due.inMs : null)],
  ['due_on', 'float8', ({ due }) => (due !== null && 'at' in due ? due.at.getTime() : null)],
];

const AFTER_RECORDS = WAITING_WRITE.length + 1;
const AFTER_MESSAGES = AFTER_RECORDS + SENDING.length;
const AFTER_HOLDS = AFTER_MESSAGES + HOLD.length;

const LEASE = `interval '${OUTBOX_LEASE_MS} milliseconds'`;
/** Whoever listens polls as often. */
const SOON = `interval '1 second'`;
const MAX_CLAIM_BYTES = 8 * 2 ** 20;

const SCHEDULED = `task_id, task, queue, round(extract(epoch FROM eta) * 1000) AS eta, headers->>'retries' AS retries, headers->>'argsrepr' AS argsrepr,
  extract(epoch FROM created_at) * 1000 AS created_at`;

export function outboxStatements(schema: string): OutboxStatements {
  const records = taskResults(schema);
  const outbox = `${escapeIdentifier(schema)}.outbox`;
  const keys = `${escapeIdentifier(schema)}.unique_keys`;

  /** Inserts the `SENDING`s whose records are in the CTE `applied`. */
  /*
   * One that is born leased counts as delivered: its writer may have sent it, whatever becomes of the row.
   */
  const SEND = `
  INSERT INTO ${outbox} (id, task_id, task, queue, due_at, eta, headers, properties, body, created_at, priority, deliveries)
  SELECT row_id, task_id, task, queue, COALESCE(due, clock_timestamp() + ${LEASE}), CASE WHEN due_in = 0 THEN NULL ELSE due END,
    headers::jsonb, properties::jsonb, body, clock_timestamp(), ${priorityIn(schema)}, CASE WHEN due IS NULL THEN 1 ELSE 0 END
  FROM (
    SELECT *, ${DUE_TIME} AS due FROM ${rowsOf(SENDING, AFTER_RECORDS, 'message')}
    WHERE cause IS NULL OR cause IN (SELECT id FROM applied)) AS caused`;

  /** Wakes who watches, when the transaction commits; and only where there is something to do. */
  const woken = (channel: number): string =>
    `CASE WHEN due_at < clock_timestamp() + ${SOON} THEN pg_notify($${channel}::text, queue)::text END AS woken`;
  const SENT_AND_WOKEN = `
SELECT id::text AS id, ${woken(AFTER_MESSAGES)}
FROM sent`;

  /** Every queue and priority that has rows: within one of them the index has the rows in the order in which they are due. It leaps from one to the next, however many rows there are. */
  const LANES = `
WITH RECURSIVE lane AS (
  (SELECT queue, priority FROM ${outbox} ORDER BY queue, priority LIMIT 1)
  UNION ALL
  SELECT next.* FROM lane, LATERAL (
    SELECT queue, priority FROM ${outbox} AS stored WHERE (stored.queue, stored.priority) > (lane.queue, lane.priority)
    ORDER BY queue, priority LIMIT 1) AS next),`;

  /*
   * Keys are never waited for here: the only other who locks one is a caller that replaces one that has run out, perhaps in a
   * transaction that stays open for long.
   */
  const LOCKED = 'FOR UPDATE OF stored SKIP LOCKED';

  return {
    /*
     * Rule 1: what a completion causes is inserted FROM what its record's write applied to, so that a copy of the message that lost causes
     * nothing. (Beside a guarded upsert instead, two copies of 1,000 tasks caused 2,000 rows.)
     */
    commit: preparedStatement(`
WITH applied AS (${insertWaiting(schema, 'upsert')} RETURNING id, state),
sent AS (${SEND}),
held AS (
  SELECT stored.key, stored.scope FROM ${rowsOf(HOLD, AFTER_MESSAGES, 'hold')}
  JOIN applied ON applied.id = hold.task_id AND applied.state IN (${FINAL_STATES})
  JOIN ${keys} AS stored ON stored.key = hold.key AND stored.task_id = hold.task_id
  ${LOCKED}),${freed(keys)},
unparked AS (DELETE FROM ${outbox} WHERE id = ANY ($${AFTER_HOLDS}::text::uuid[]))
SELECT id FROM applied`),

    enqueue: preparedStatement(`
WITH applied AS (${insertWaiting(schema, 'nothing')} RETURNING id),
sent AS (${SEND} RETURNING id, queue, due_at)${SENT_AND_WOKEN}`),

    requeue: preparedStatement(`
WITH applied AS (
  UPDATE ${records} AS stored SET
    task = write.task, state = write.state, attempt = write.attempt, args = write.args::jsonb, kwargs = write.kwargs::jsonb,
    result = NULL, error = NULL, progress = NULL, retries = write.retries, queue = write.queue, worker = NULL,
    started_at = NULL, finished_at = NULL, scheduled_at = ${DUE_TIME},
    history = COALESCE(stored.history, '[]') || jsonb_build_object('state', stored.state, 'attempt', stored.attempt,
      'retries', stored.retries, 'error', stored.error, 'worker', stored.worker, 'finishedAt', stored.finished_at)
  FROM ${rowsOf(WAITING_WRITE, 1, 'write')}
  WHERE stored.id = write.id AND stored.state = 'FAILURE' AND stored.attempt = write.attempt - 1
  RETURNING stored.id),
sent AS (${SEND} RETURNING id, queue, due_at)${SENT_AND_WOKEN}`),

    /*
     * No cursor is kept, so that a commit that comes late is never passed over. At least one row, and no more than fit into memory beside
     * others. An array of ids rather than a join: the planner takes a prepared LIMIT for a tenth of the table, and would read all of it.
     */
    claim: preparedStatement(`
${LANES}
candidates AS (
  SELECT candidate.* FROM lane, LATERAL (
    SELECT id, due_at, octet_length(body) AS size FROM ${outbox} AS stored
    WHERE stored.queue = lane.queue AND stored.priority = lane.priority AND due_at <= statement_timestamp()
    ORDER BY due_at LIMIT $1::bigint FOR UPDATE SKIP LOCKED) AS candidate),
due AS (
  SELECT id, due_at FROM (SELECT *, sum(size) OVER first AS sum, row_number() OVER first AS place FROM candidates WINDOW first AS (ORDER BY due_at, id)) AS summed
  WHERE (sum = size OR sum <= ${MAX_CLAIM_BYTES}) AND place <= $1::bigint),
leased AS (
  UPDATE ${outbox} SET due_at = clock_timestamp() + ${LEASE}, deliveries = deliveries + 1 WHERE id = ANY (ARRAY(SELECT id FROM due))
  RETURNING id, task_id, task, queue, headers, properties, body)
SELECT extract(epoch FROM clock_timestamp()) * 1000 AS now,
  (SELECT extract(epoch FROM min(coming.due_at) - clock_timestamp()) * 1000 FROM lane, LATERAL (
    SELECT due_at FROM ${outbox} AS stored
    WHERE stored.queue = lane.queue AND stored.priority = lane.priority AND due_at > statement_timestamp() ORDER BY due_at LIMIT 1) AS coming) AS next,
  leased.*
FROM (SELECT) AS always LEFT JOIN (leased JOIN due USING (id)) ON true
ORDER BY due.due_at`),

    // No eta: it does not wait for a time that anybody asked for. Counts as delivered: it was.
    park: preparedStatement(`
INSERT INTO ${outbox} (id, task_id, task, queue, due_at, headers, properties, body, created_at, priority, deliveries)
SELECT row_id, task_id, task, queue, COALESCE(${DUE_TIME}, clock_timestamp() + ${LEASE}), headers::jsonb, properties::jsonb, body,
  clock_timestamp(), ${priorityIn(schema)}, 1
FROM ${rowsOf(SENDING, 1, 'message')}
ON CONFLICT (id) DO UPDATE SET due_at = excluded.due_at`),

    // What somebody has locked is as good as taken.
    renew: preparedStatement(`
WITH renewed AS (
  UPDATE ${outbox} SET due_at = clock_timestamp() + $2::float8 * interval '1 millisecond'
  WHERE id = ANY (ARRAY(SELECT id FROM ${outbox} WHERE id = ANY ($1::uuid[]) FOR UPDATE SKIP LOCKED))
  RETURNING id, queue, due_at)
SELECT id::text AS id, ${woken(3)} FROM renewed`),

    remove: preparedStatement(`DELETE FROM ${outbox} WHERE id = ANY ($1::uuid[])`),

    // By due_at, which is the eta but of a row that is just being sent.
    scheduled: statement(`${LANES}
first AS (
  SELECT waiting.* FROM lane, LATERAL (
    SELECT * FROM ${outbox} AS stored
    WHERE stored.queue = lane.queue AND stored.priority = lane.priority AND eta IS NOT NULL AND ($1::text IS NULL OR task = $1)
    ORDER BY due_at LIMIT $3::bigint) AS waiting
  WHERE $2::text IS NULL OR lane.queue = $2)
SELECT ${SCHEDULED} FROM first ORDER BY due_at LIMIT $3::bigint`),

    scheduledTasks: statement(`
SELECT ${SCHEDULED} FROM ${outbox}
WHERE eta IS NOT NULL AND task_id = ANY ($1::text[]) AND ($2::text IS NULL OR task = $2) AND ($3::text IS NULL OR queue = $3)
ORDER BY due_at LIMIT $4::bigint`),

    // A row that was claimed is due when its lease ends, and no longer at its eta: it is as good as sent.
    cancel: preparedStatement(`
WITH taken AS (
  DELETE FROM ${outbox} WHERE id = ANY (ARRAY(
    SELECT id FROM ${outbox} WHERE task_id = ANY ($1::text[]) AND eta IS NOT NULL AND due_at = eta ORDER BY id FOR UPDATE))
  RETURNING task_id, task, queue, headers, properties->>'replyTo' AS reply_to),
call AS (
  SELECT DISTINCT ON (task_id) *, COALESCE(headers->>'attempt', headers->>'retries', '0')::int AS attempt
  FROM taken ORDER BY task_id, attempt DESC),
applied AS (
  INSERT INTO ${records} AS stored (id, task, state, attempt, error, retries, queue, parent_id, root_id, group_id, created_at, finished_at)
  SELECT task_id, task, 'REVOKED', attempt, $2::jsonb, COALESCE(headers->>'retries', '0')::int, queue,
    headers->>'parent_id', COALESCE(headers->>'root_id', task_id), headers->>'group', now(), now()
  FROM call ORDER BY task_id
  ON CONFLICT (id) DO UPDATE SET
    state = excluded.state, attempt = excluded.attempt, result = NULL, error = excluded.error, progress = NULL, retries = excluded.retries,
    queue = excluded.queue, worker = NULL, finished_at = excluded.finished_at, scheduled_at = NULL
  WHERE stored.state NOT IN (${FINAL_STATES}) AND stored.attempt <= excluded.attempt
  RETURNING id),
held AS (
  SELECT stored.key, stored.scope FROM call JOIN applied ON applied.id = call.task_id
  JOIN ${keys} AS stored ON stored.key = substring(call.headers->>'unique' FROM '^[a-z]+:([0-9a-f]{64})$') AND stored.task_id = call.task_id
  ${LOCKED}),${freed(keys)}
SELECT applied.id, call.reply_to FROM applied JOIN call ON call.task_id = applied.id`),

    dropKeys: preparedStatement(`
DELETE FROM ${keys} WHERE key = ANY (ARRAY(
  SELECT key FROM ${keys} WHERE key = ANY ($1::text::text[]) AND expires_at <= statement_timestamp() ORDER BY key FOR UPDATE))`),

    /*
     * Never DO UPDATE: it would lock the holder's row for as long as the user's transaction takes, and the holder's commit would wait for it.
     * Not for a call that is known: whoever wants the key next would wait for this transaction.
     */
    takeKeys: preparedStatement(`
WITH call AS (
  SELECT *, EXISTS (SELECT FROM ${records} WHERE id = record_id) AS known FROM ${rowsOf(CLAIM, 1, 'given')}),
taken AS (
  INSERT INTO ${keys} (key, task_id, scope, ttl, expires_at)
  SELECT key, task_id, scope, ttl * interval '1 millisecond', GREATEST(${DUE_TIME}, clock_timestamp()) + ttl * interval '1 millisecond'
  FROM call WHERE NOT known ORDER BY key
  ON CONFLICT (key) DO NOTHING
  RETURNING key)
SELECT key, 'taken' AS outcome FROM taken UNION ALL SELECT key, 'known' FROM call WHERE known`),

    holders: preparedStatement(`SELECT key, task_id AS holder FROM ${keys} WHERE key = ANY ($1::text::text[])`),

    release: preparedStatement(`
DELETE FROM ${keys} WHERE key = ANY (ARRAY(
  SELECT stored.key FROM ${rowsOf(HOLD, 1, 'hold')}
  JOIN ${keys} AS stored ON stored.key = hold.key AND stored.task_id = hold.task_id
  ${LOCKED}))`),

    sweepKeys: preparedStatement(`
DELETE FROM ${keys} WHERE key = ANY (ARRAY(
  SELECT key FROM ${keys} AS stored WHERE expires_at <= now() ORDER BY expires_at LIMIT $1::bigint ${LOCKED}))`),
  };
}

/** What becomes of the keys in the CTE `held`, whose tasks have ended. */
export function freed(keys: string): string {
  return `
ended AS (UPDATE ${keys} AS stored SET expires_at = clock_timestamp() + stored.ttl FROM held WHERE stored.key = held.key AND held.scope = 'finished'),
freed AS (DELETE FROM ${keys} AS stored USING held WHERE stored.key = held.key AND held.scope <> 'finished')`;
}

/** The parameters of `commit`. */
export function commitValues(completions: readonly Completion[]): readonly string[] {
  const messages = completions.flatMap(({ record, followUps }) =>
    followUps.map((message) => ({ cause: record.id, message })),
  );
  const holds = completions.flatMap(({ record, uniqueKey }) =>
    uniqueKey === null ? [] : [{ key: uniqueKey, taskId: record.id }],
  );
  const records = completions.map(({ record }) => record);
  const parked = arrayLiteral(completions.flatMap(({ parkedRow }) => parkedRow ?? []));
  return [...columnsOf(WAITING_WRITE, records), ...columnsOf(SENDING, messages), ...columnsOf(HOLD, holds), parked];
}

/** The parameters of `enqueue` and `requeue`. */
export function enqueueValues(calls: readonly OutboxCall[], channel: string): readonly string[] {
  const records = calls.flatMap(({ record }) => record ?? []);
  const messages = calls.map((message) => ({ cause: message.record && message.taskId, message }));
  return [...columnsOf(WAITING_WRITE, records), ...columnsOf(SENDING, messages), channel];
}
