-- Messages that are to be sent, and unique keys; docs/reference/tables.md says what each column means.
--
-- `lovage migrate` applies this file. By hand, after 001 and in the same schema:
--   psql -v ON_ERROR_STOP=1 -1 -c 'SET search_path TO lovage' -f 002_outbox.sql

-- Neither has a default, so that no row is rewritten.
ALTER TABLE task_results
  ADD COLUMN scheduled_at timestamptz,
  ADD COLUMN history jsonb;

CREATE TABLE outbox (
  id uuid PRIMARY KEY,
  task_id text COLLATE "C" NOT NULL,
  task text NOT NULL,
  queue text NOT NULL,
  -- From when on a relay may take the row: when it is due, or when the lease of whoever publishes it ends.
  due_at timestamptz NOT NULL,
  eta timestamptz,
  headers jsonb NOT NULL,
  properties jsonb NOT NULL,
  -- Text and not jsonb: it is sent as it came, byte for byte.
  body text NOT NULL,
  created_at timestamptz NOT NULL
);

-- What is due, longest first.
CREATE INDEX outbox_due_at ON outbox (due_at);

-- "Does this task wait, and where".
CREATE INDEX outbox_task_id ON outbox (task_id);

CREATE TABLE unique_keys (
  key text COLLATE "C" PRIMARY KEY,
  task_id text COLLATE "C" NOT NULL,
  scope text NOT NULL CHECK (scope IN ('queued', 'running', 'finished')),
  ttl interval NOT NULL,
  expires_at timestamptz NOT NULL
);

-- What has run out, for the sweep.
CREATE INDEX unique_keys_expires_at ON unique_keys (expires_at);

INSERT INTO migrations (name) VALUES ('002_outbox');
