-- Starts of tasks without an end; docs/reference/tables.md says what each column means.
--
-- `lovage migrate` applies this file. By hand, after 004 and in the same schema:
--   psql -v ON_ERROR_STOP=1 -1 -c 'SET search_path TO lovage' -f 005_starts.sql

CREATE TABLE starts (
  id text COLLATE "C" NOT NULL,
  attempt integer NOT NULL,
  starts integer NOT NULL,
  started_at timestamptz NOT NULL,
  PRIMARY KEY (id, attempt)
);

-- What was left behind, for the sweep.
CREATE INDEX starts_started_at ON starts (started_at);

INSERT INTO migrations (name) VALUES ('005_starts');
