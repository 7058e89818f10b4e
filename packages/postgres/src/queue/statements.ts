import type { Message } from '@lovage/core';
import { escapeIdentifier } from 'pg';
import { type Columns, rowsOf } from '../database/columns.js';
import { type Statement, preparedStatement, statement } from '../database/statement.js';
import { bodyOf, propertiesOf } from '../outbox/outbox-row.js';
import { priorityIn } from '../outbox/priority-in.js';

/** Every statement on outbox as a queue, on queues and on consumers. All that they return is text. */
export interface QueueStatements {
  /** $1 names, $2 types, $3 priorities. */
  readonly declare: Statement;
  /** $1 names. */
  readonly queues: Statement;
  /** `PUBLISHED`, then the names of all their queues. Returns those that exist: what goes elsewhere was not written. */
  readonly publish: Statement;
  /**
   * $1 queue, $2 limit, $3 whether to look for what was delivered before, too. In order. At least one row, of `next` (milliseconds until a row is due that is not yet) and `seen` alone if nothing is due. `seen` counts
   * what was found due: more than is returned where the rest is too large for one look, or was lost.
   */
  readonly claim: Statement;
  /** $1 ids of rows. */
  readonly remove: Statement;
  /** `HELD`. */
  readonly handBack: Statement;
  /** `HELD`, then consumer (null: it has left), queue, app. Returns the ids of the rows that are still held. */
  readonly renew: Statement;
  /** $1 consumer. */
  readonly leave: Statement;
  /** $1 names. */
  readonly depths: Statement;
  /** $1 queue, $2 limit. */
  readonly purge: Statement;
  /** $1 queue, $2 limit (null: none). The ids of what is ready, in order. */
  readonly ready: Statement;
  /** $1 id, $2 queue. The message, unless it has gone, or somebody has it. */
  readonly show: Statement;
}

/** A message on its way into a queue. */
export interface Publishing {
  readonly rowId: string;
  /** Its place among those that are written together. */
  readonly ordinal: number;
  readonly message: Message;
}

/** A row that was delivered and is not settled. */
export interface HeldRow {
  readonly rowId: string;
  /** Tells this delivery from a later one. */
  readonly deliveries: number;
}

export const PUBLISHED: Columns<Publishing> = [
  ['row_id', 'uuid', ({ rowId }) => rowId],
  ['ordinal', 'int', ({ ordinal }) => ordinal],
  ['task_id', 'text', ({ message }) => textOf(message.headers['id']) ?? message.correlationId ?? ''],
  ['task', 'text', ({ message }) => textOf(message.headers['task']) ?? ''],
  ['queue', 'text', ({ message }) => message.queue],
  ['headers', 'text', ({ message }) => JSON.stringify(message.headers)],
  ['properties', 'text', ({ message }) => propertiesOf(message)],
  ['body', 'text', ({ message }) => bodyOf(message)],
  ['priority', 'int', ({ message }) => message.priority ?? 0],
];

export const HELD: Columns<HeldRow & { readonly ordinal: number }> = [
  ['id', 'uuid', ({ rowId }) => rowId],
  ['deliveries', 'int', ({ deliveries }) => deliveries],
  ['ordinal', 'int', ({ ordinal }) => ordinal],
];

/** How long a delivery is its consumer's, in milliseconds, unless that renews it. */
export const DELIVERY_LEASE_MS = 30_000;

/** As the queues of RabbitMQ are declared. */
const DELIVERY_LIMIT = 1_000;
/** What was delivered before goes first: else the tasks of a worker that died would wait behind the whole backlog. */
const AGAIN = 256;
const MAX_CLAIM_BYTES = 8 * 2 ** 20;
const LEASE = `interval '${DELIVERY_LEASE_MS} milliseconds'`;

export function queueStatements(schema: string): QueueStatements {
  const [outbox, queues, consumers] = ['outbox', 'queues', 'consumers'].map(
    (table) => `${escapeIdentifier(schema)}.${table}`,
  ) as [string, string, string];
  /** One row for each priority that a queue may hold, the highest first. */
  const RANKS = `generate_series(COALESCE((SELECT max_priority FROM ${queues} WHERE name = $1::text), 0), 0, -1)`;
  const AFTER_HELD = HELD.length + 1;

  return {
    declare: statement(`
INSERT INTO ${queues} (name, type, max_priority)
SELECT * FROM unnest($1::text[], $2::text[], $3::smallint[]) ON CONFLICT (name) DO NOTHING`),

    queues: statement(`SELECT name, type, max_priority FROM ${queues} WHERE name = ANY ($1::text[])`),

    /*
     * In the order of the call, to the microsecond. One whose answer was lost is sent again under the id that it had: it is there once, unless it
     * has been delivered and removed meanwhile.
     */
    publish: preparedStatement(`
WITH sent AS (
  INSERT INTO ${outbox} (id, task_id, task, queue, due_at, headers, properties, body, created_at, priority)
  SELECT row_id, task_id, task, queue, statement_timestamp() + ordinal * interval '1 microsecond', headers::jsonb, properties::jsonb, body,
    statement_timestamp(), ${priorityIn(schema)}
  FROM ${rowsOf(PUBLISHED, 1, 'message')}
  WHERE EXISTS (SELECT FROM ${queues} WHERE name = queue)
  ON CONFLICT (id) DO NOTHING)
SELECT name FROM ${queues} WHERE name = ANY ($${PUBLISHED.length + 1}::text[])`),

    /*
     * Each priority by itself, so that the index gives the rows in order however many wait for later; nothing above it may sort, or it would lock more
     * than it takes. At least one row, and no more than fit into memory beside others.
     */
    claim: preparedStatement(`
WITH candidates AS (
  SELECT candidate.* FROM (SELECT ${AGAIN} AS priority WHERE $3::boolean UNION ALL SELECT ${RANKS}) AS rank, LATERAL (
    SELECT id, priority, due_at, deliveries, octet_length(body) AS size FROM ${outbox} AS stored
    WHERE queue = $1::text AND stored.priority = rank.priority AND due_at <= statement_timestamp()
    ORDER BY due_at LIMIT $2::bigint FOR UPDATE SKIP LOCKED) AS candidate
  LIMIT $2::bigint),
due AS (
  SELECT id, priority, due_at,
    deliveries >= ${DELIVERY_LIMIT} AND EXISTS (SELECT FROM ${queues} WHERE name = $1::text || '.lost') AS is_lost
  FROM (SELECT *, sum(size) OVER (ORDER BY priority DESC, due_at, id) AS sum FROM candidates) AS summed
  WHERE sum = size OR sum <= ${MAX_CLAIM_BYTES}),
lost AS (
  UPDATE ${outbox} SET queue = queue || '.lost', due_at = clock_timestamp(), eta = NULL, priority = 0, deliveries = 0,
    headers = headers || jsonb_build_object('x-death', jsonb_build_array(
      jsonb_build_object('reason', 'delivery_limit', 'queue', queue, 'count', 1)))
  WHERE id = ANY (ARRAY(SELECT id FROM due WHERE is_lost))),
delivered AS (
  UPDATE ${outbox} SET due_at = clock_timestamp() + ${LEASE}, eta = NULL, priority = ${AGAIN}, deliveries = deliveries + 1
  WHERE id = ANY (ARRAY(SELECT id FROM due WHERE NOT is_lost))
  RETURNING id, queue, headers, properties, body, deliveries)
SELECT (
    SELECT extract(epoch FROM min(coming.due_at) - clock_timestamp()) * 1000 FROM ${RANKS} AS rank (priority), LATERAL (
      SELECT due_at FROM ${outbox} AS stored
      WHERE queue = $1::text AND stored.priority = rank.priority AND due_at > statement_timestamp() ORDER BY due_at LIMIT 1) AS coming
  ) AS next, (SELECT count(*) FROM candidates) AS seen, delivered.*
FROM (SELECT) AS always LEFT JOIN (delivered JOIN due USING (id)) ON true
ORDER BY due.priority DESC, due.due_at`),

    /*
     * Not waited for until it is on disk: where the server dies first, the message is delivered again as one that was delivered before, and its record
     * is looked up. The claim is on disk: a message that comes back without it would look new.
     */
    remove: preparedStatement(`
WITH setting AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true) AS value),
gone AS (DELETE FROM ${outbox} WHERE id = ANY ($1::uuid[]))
SELECT value FROM setting`),

    handBack: preparedStatement(`
UPDATE ${outbox} AS stored SET due_at = statement_timestamp() + held.ordinal * interval '1 microsecond'
FROM ${rowsOf(HELD, 1, 'held')}
WHERE stored.id = held.id AND stored.deliveries = held.deliveries`),

    renew: preparedStatement(`
WITH alive AS (
  INSERT INTO ${consumers} (id, queue, name, expires_at)
  SELECT consumer, $${AFTER_HELD + 1}::text, $${AFTER_HELD + 2}::text, clock_timestamp() + ${LEASE}
  FROM (SELECT $${AFTER_HELD}::uuid AS consumer) AS given WHERE consumer IS NOT NULL
  ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at),
swept AS (DELETE FROM ${consumers} WHERE expires_at < clock_timestamp() - interval '1 minute')
UPDATE ${outbox} AS stored SET due_at = clock_timestamp() + ${LEASE}
FROM ${rowsOf(HELD, 1, 'held')}
WHERE stored.id = held.id AND stored.deliveries = held.deliveries
RETURNING stored.id`),

    leave: statement(`DELETE FROM ${consumers} WHERE id = $1::uuid`),

    depths: statement(`
SELECT name,
  (SELECT count(*) FROM ${outbox} WHERE queue = name AND due_at <= statement_timestamp()) AS messages,
  (SELECT count(*) FROM ${consumers} WHERE queue = queues.name AND expires_at > clock_timestamp()) AS consumers
FROM ${queues} AS queues WHERE name = ANY ($1::text[])`),

    purge: statement(`
WITH gone AS (
  DELETE FROM ${outbox} WHERE id = ANY (ARRAY(
    SELECT id FROM ${outbox} WHERE queue = $1::text AND due_at <= statement_timestamp() LIMIT $2::bigint FOR UPDATE SKIP LOCKED))
  RETURNING id)
SELECT (SELECT count(*) FROM gone) AS count, EXISTS (SELECT FROM ${queues} WHERE name = $1::text) AS known`),

    ready: statement(`
SELECT id FROM ${outbox} WHERE queue = $1::text AND due_at <= statement_timestamp()
ORDER BY priority DESC, due_at, id LIMIT $2::bigint`),

    show: statement(`
SELECT id, queue, headers, properties, body FROM ${outbox}
WHERE id = $1::uuid AND queue = $2::text AND due_at <= statement_timestamp() FOR UPDATE SKIP LOCKED`),
  };
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}
