-- What the migrations make. UPDATE_SCHEMA=1 with this test writes it anew.

CREATE TABLE migrations (
  name text NOT NULL,
  applied_at timestamp with time zone NOT NULL DEFAULT now(),
  CONSTRAINT migrations_pkey PRIMARY KEY (name)
);

CREATE TABLE outbox (
  id uuid NOT NULL,
  task_id text COLLATE "C" NOT NULL,
  task text NOT NULL,
  queue text NOT NULL,
  due_at timestamp with time zone NOT NULL,
  eta timestamp with time zone,
  headers jsonb NOT NULL,
  properties jsonb NOT NULL,
  body text NOT NULL,
  created_at timestamp with time zone NOT NULL,
  CONSTRAINT outbox_pkey PRIMARY KEY (id)
);
CREATE INDEX outbox_due_at ON outbox USING btree (due_at);
CREATE INDEX outbox_task_id ON outbox USING btree (task_id);

CREATE TABLE task_results (
  id text COLLATE "C" NOT NULL,
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
  created_at timestamp with time zone NOT NULL,
  started_at timestamp with time zone,
  finished_at timestamp with time zone,
  scheduled_at timestamp with time zone,
  history jsonb,
  CONSTRAINT task_results_id_check CHECK (((char_length(id) >= 1) AND (char_length(id) <= 255))),
  CONSTRAINT task_results_pkey PRIMARY KEY (id)
);
CREATE INDEX task_results_created_at ON task_results USING btree (created_at);
CREATE INDEX task_results_not_success ON task_results USING btree (state, created_at) WHERE (state <> 'SUCCESS'::text);

CREATE TABLE unique_keys (
  key text COLLATE "C" NOT NULL,
  task_id text COLLATE "C" NOT NULL,
  scope text NOT NULL,
  ttl interval NOT NULL,
  expires_at timestamp with time zone NOT NULL,
  CONSTRAINT unique_keys_pkey PRIMARY KEY (key),
  CONSTRAINT unique_keys_scope_check CHECK ((scope = ANY (ARRAY['queued'::text, 'running'::text, 'finished'::text])))
);
CREATE INDEX unique_keys_expires_at ON unique_keys USING btree (expires_at);
