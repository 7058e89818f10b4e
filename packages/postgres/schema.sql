-- What the migrations make. UPDATE_SCHEMA=1 with this test writes it anew.

CREATE TABLE consumers (
  id uuid NOT NULL,
  queue text COLLATE "C" NOT NULL,
  name text NOT NULL,
  expires_at timestamp with time zone NOT NULL,
  CONSTRAINT consumers_pkey PRIMARY KEY (id)
);

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
  priority smallint NOT NULL DEFAULT 0,
  deliveries integer NOT NULL DEFAULT 0,
  CONSTRAINT outbox_pkey PRIMARY KEY (id),
  CONSTRAINT outbox_priority_check CHECK (((priority >= 0) AND (priority <= 256)))
);
CREATE INDEX outbox_queue ON outbox USING btree (queue, priority, due_at);
CREATE INDEX outbox_task_id ON outbox USING btree (task_id) WHERE ((eta IS NOT NULL) OR (deliveries = 0));

CREATE TABLE queues (
  name text COLLATE "C" NOT NULL,
  type text NOT NULL,
  max_priority smallint,
  CONSTRAINT queues_max_priority_check CHECK (((max_priority >= 1) AND (max_priority <= 255))),
  CONSTRAINT queues_pkey PRIMARY KEY (name),
  CONSTRAINT queues_type_check CHECK ((type = ANY (ARRAY['quorum'::text, 'classic'::text])))
);

CREATE TABLE revocations (
  id text COLLATE "C" NOT NULL,
  terminate boolean NOT NULL,
  reason text NOT NULL,
  revoked_at timestamp with time zone NOT NULL,
  CONSTRAINT revocations_id_check CHECK (((char_length(id) >= 1) AND (char_length(id) <= 255))),
  CONSTRAINT revocations_pkey PRIMARY KEY (id)
);
CREATE INDEX revocations_revoked_at ON revocations USING btree (revoked_at);

CREATE TABLE schema_id (
  id uuid NOT NULL DEFAULT gen_random_uuid()
);

CREATE TABLE starts (
  id text COLLATE "C" NOT NULL,
  attempt integer NOT NULL,
  starts integer NOT NULL,
  started_at timestamp with time zone NOT NULL,
  CONSTRAINT starts_pkey PRIMARY KEY (id, attempt)
);
CREATE INDEX starts_started_at ON starts USING btree (started_at);

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
CREATE INDEX unique_keys_task_id ON unique_keys USING btree (task_id);
