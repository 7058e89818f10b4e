-- What is revoked; docs/reference/tables.md says what each column means.
--
-- `lovage migrate` applies this file. By hand, after 003 and in the same schema:
--   psql -v ON_ERROR_STOP=1 -1 -c 'SET search_path TO lovage' -f 004_revocations.sql

CREATE TABLE revocations (
  id text COLLATE "C" PRIMARY KEY CHECK (char_length(id) BETWEEN 1 AND 255),
  terminate boolean NOT NULL,
  reason text NOT NULL,
  revoked_at timestamptz NOT NULL
);

-- What is new, for each worker each second; and what is old, for the sweep.
CREATE INDEX revocations_revoked_at ON revocations (revoked_at);

-- "Where does this task wait": what has been delivered is not taken out, and leaves the index with the claim, which so pays nothing for it.
DROP INDEX outbox_task_id;
CREATE INDEX outbox_task_id ON outbox (task_id) WHERE eta IS NOT NULL OR deliveries = 0;

-- "What does this task hold".
CREATE INDEX unique_keys_task_id ON unique_keys (task_id);

INSERT INTO migrations (name) VALUES ('004_revocations');
