-- The records of tasks, one row a task; docs/reference/tables.md says what each column means.
--
-- `lovage migrate` applies this file. By hand, where that is policy (any schema name, nothing else is needed):
--   psql -v ON_ERROR_STOP=1 -1 -c 'CREATE SCHEMA lovage' -c 'SET search_path TO lovage' -f 001_task_results.sql

-- Which of these files have been applied. Lovage refuses to start on a schema that is older or newer than its code.
CREATE TABLE migrations (
  name text PRIMARY KEY,
  applied_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE task_results (
  -- Compared as bytes: faster than a language's rules, and the order in which commits lock rows does not depend on the database.
  id text COLLATE "C" PRIMARY KEY CHECK (char_length(id) BETWEEN 1 AND 255),
  task text NOT NULL,
  state text NOT NULL,
  attempt integer NOT NULL,
  args jsonb,
  kwargs jsonb,
  result jsonb,
  error jsonb,
  progress jsonb,
  retries integer NOT NULL,
  queue text NOT NULL,
  worker text,
  parent_id text COLLATE "C",
  root_id text COLLATE "C" NOT NULL,
  group_id text COLLATE "C",
  created_at timestamptz NOT NULL,
  started_at timestamptz,
  finished_at timestamptz
);

-- Newest first, and since when; and the retention's deletes from the other end: what finished before an instant was also created
-- before it, so an index on finished_at would only cost (each index of a time: 65 bytes of WAL a row, of 487).
CREATE INDEX task_results_created_at ON task_results (created_at);

-- "What failed, what is running": the rare states among many successes, which it does not hold and which do not pay for it (1 byte).
-- None on task: reading the latest of one task skips the others (1 ms among 50 tasks), and it would cost 81 bytes a row.
CREATE INDEX task_results_not_success ON task_results (state, created_at) WHERE state <> 'SUCCESS';

INSERT INTO migrations (name) VALUES ('001_task_results');
