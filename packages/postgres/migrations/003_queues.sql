-- Queues in PostgreSQL, for a broker that is this database: their messages are the rows of outbox; docs/reference/tables.md says what each column means.
--
-- `lovage migrate` applies this file. By hand, after 002 and in the same schema:
--   psql -v ON_ERROR_STOP=1 -1 -c 'SET search_path TO lovage' -f 003_queues.sql

-- Constants, so that no row is rewritten.
ALTER TABLE outbox
  -- 0 to 255 as sent; 256: was delivered before, and goes first.
  ADD COLUMN priority smallint NOT NULL DEFAULT 0 CHECK (priority BETWEEN 0 AND 256),
  -- How often it was delivered, or claimed by a relay.
  ADD COLUMN deliveries integer NOT NULL DEFAULT 0;

-- What is due, in one queue or in all: each queue and priority in turn. Each index is written again with every claim (5 µs a row, of 20).
CREATE INDEX outbox_queue ON outbox (queue, priority, due_at);
DROP INDEX outbox_due_at;

-- "Does this task wait for a time": what does not is no concern of it, and does not pay for it.
DROP INDEX outbox_task_id;
CREATE INDEX outbox_task_id ON outbox (task_id) WHERE eta IS NOT NULL;

-- Rows live for moments: without this, what is dead makes each look at the queue longer, and is cleaned when a fifth of the table is.
ALTER TABLE outbox SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);

CREATE TABLE queues (
  name text COLLATE "C" PRIMARY KEY,
  type text NOT NULL CHECK (type IN ('quorum', 'classic')),
  max_priority smallint CHECK (max_priority BETWEEN 1 AND 255)
);

CREATE TABLE consumers (
  id uuid PRIMARY KEY,
  queue text COLLATE "C" NOT NULL,
  -- The app whose worker it is.
  name text NOT NULL,
  -- It has said so long that it lives.
  expires_at timestamptz NOT NULL
);

-- One row: what tells this schema from any other, through whatever URL.
CREATE TABLE schema_id (
  id uuid NOT NULL DEFAULT gen_random_uuid()
);
INSERT INTO schema_id DEFAULT VALUES;

INSERT INTO migrations (name) VALUES ('003_queues');
