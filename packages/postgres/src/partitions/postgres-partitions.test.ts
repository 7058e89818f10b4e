import { randomUUID } from 'node:crypto';
import { type PartitionChanges, type ResultBackend, type ResultPartitions, systemRuntime } from '@lovage/core';
import { Client } from 'pg';
import { TestSchema, completion, recordWrite } from '../../test/support.js';
import { idPrefixAt, startOf } from './periods.js';

const DAY_MS = 86_400_000;
const UNCHANGED = { made: [], dropped: [], held: [] };

function today(): number {
  return startOf('day', Date.now());
}

function nameOf(day: number): string {
  return `task_results_p${new Date(day).toISOString().slice(0, 10).replaceAll('-', '')}`;
}

/** Of that day and seven more. */
function weekFrom(day: number): readonly string[] {
  return Array.from({ length: 8 }, (_, index) => nameOf(day + index * DAY_MS));
}

/** A UUIDv7 made at that instant. */
function idAt(at: number): string {
  return `${idPrefixAt(at)}${systemRuntime.uuid().slice(13)}`;
}

describe('PostgresPartitions', () => {
  let schema: TestSchema;
  let backend: ResultBackend;

  beforeEach(async () => {
    schema = new TestSchema();
    await schema.migrate();
    backend = await schema.started();
  });
  afterEach(() => schema.dispose());

  function partitions(): ResultPartitions {
    return backend.capabilities.partitions as ResultPartitions;
  }

  async function commit(...ids: readonly string[]): Promise<void> {
    const results = await backend.commit(ids.map((id) => completion(recordWrite({ id }))));
    expect(new Set(results)).toEqual(new Set(['applied']));
  }

  /** In which table each record is. */
  async function tables(...ids: readonly string[]): Promise<readonly (string | undefined)[]> {
    const sql = 'SELECT id, relname AS name FROM task_results JOIN pg_class ON pg_class.oid = task_results.tableoid';
    const rows = await schema.sql<{ id: string; name: string }>(sql);
    return ids.map((id) => rows.find((row) => row.id === id)?.name);
  }

  async function partitionNames(): Promise<readonly string[]> {
    const sql = `SELECT relname AS name FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid WHERE inhparent = 'task_results'::regclass ORDER BY 1`;
    return (await schema.sql<{ name: string }>(sql)).map(({ name }) => name);
  }

  /** A partition of a day that is over, with a record of these columns beside an ordinary one. */
  async function pastDay(daysAgo: number, columns: Readonly<Record<string, string>>): Promise<string> {
    const day = today() - daysAgo * DAY_MS;
    const bounds = `FROM ('${idPrefixAt(day)}') TO ('${idPrefixAt(day + DAY_MS)}')`;
    await schema.sql(`CREATE TABLE ${nameOf(day)} PARTITION OF task_results FOR VALUES ${bounds}`);
    const [ordinary, other] = [idAt(day), idAt(day + 1)];
    await commit(ordinary, other);
    await schema.sql(
      `UPDATE task_results SET created_at = to_timestamp($1), finished_at = to_timestamp($1) WHERE id IN ($2, $3)`,
      [day / 1000 + 1, ordinary, other],
    );
    for (const [name, value] of Object.entries(columns))
      await schema.sql(`UPDATE task_results SET ${name} = ${value} WHERE id = $1`, [other]);
    return nameOf(day);
  }

  describe('turned on for a new table', () => {
    it('makes partitions from today on, and puts each record where its id belongs', async () => {
      expect(await partitions().partitionBy('day')).toEqual({ ...UNCHANGED, period: 'day', made: weekFrom(today()) });
      const ids = [
        idAt(Date.now()),
        idAt(Date.now() + 3 * DAY_MS),
        idAt(Date.now() - DAY_MS),
        'order-17',
        '01b',
        ''.padEnd(255, 'f'),
      ];
      await commit(...ids);
      const rest = 'task_results_default';
      expect(await tables(...ids)).toEqual([nameOf(today()), nameOf(today() + 3 * DAY_MS), rest, rest, rest, rest]);
      expect((await backend.states(ids)).size).toBe(6);
      expect(await backend.forget(ids)).toBe(6);
    });

    it.each(['week', 'month'] as const)('does so by %s', async (period) => {
      const long = await schema.started({ expiresMs: 31 * DAY_MS });
      const { made } = (await long.capabilities.partitions?.partitionBy(period)) as PartitionChanges;
      expect(made).toHaveLength(3);
      expect(made[0]).toBe(nameOf(startOf(period, Date.now())));
      expect(await partitions().maintain({ dryRun: false })).toEqual({ ...UNCHANGED, period });
      const id = systemRuntime.uuid();
      await commit(id);
      expect(await tables(id)).toEqual([made[0]]);
    });

    it('does nothing the second time, and refuses another period', async () => {
      await partitions().partitionBy('day');
      expect(await partitions().partitionBy('day')).toEqual({ ...UNCHANGED, period: 'day' });
      await expect(partitions().partitionBy('week')).rejects.toMatchObject({
        code: 'LOVAGE_SCHEMA',
        message: expect.stringContaining('is partitioned by day already') as string,
      });
    });

    it('refuses a period longer than records are kept', async () => {
      await expect(partitions().partitionBy('month')).rejects.toMatchObject({
        code: 'LOVAGE_CONFIG',
        message: expect.stringContaining('expected results.expires to be at least 31d') as string,
      });
      expect(await partitions().maintain({ dryRun: false })).toEqual({ ...UNCHANGED, period: null });
    });

    it('is done once by six processes that race', async () => {
      const changes = await Promise.all(Array.from({ length: 6 }, () => partitions().partitionBy('day')));
      expect(changes.flatMap(({ made }) => made)).toEqual(weekFrom(today()));
    });
  });

  describe('turned on for a table in use', () => {
    it('leaves its records where they are, and begins with the next day', async () => {
      const [final, open] = [systemRuntime.uuid(), systemRuntime.uuid()];
      await backend.commit([
        completion(recordWrite({ id: final })),
        completion(recordWrite({ id: open, state: 'STARTED' })),
      ]);
      const { made } = await partitions().partitionBy('day');
      expect(made).toEqual(weekFrom(today() + DAY_MS).slice(0, 7));
      expect(await tables(final, open)).toEqual(['task_results_default', 'task_results_default']);
      const ends = [final, open].map((id) => completion(recordWrite({ id, state: 'FAILURE' })));
      expect(await backend.commit(ends)).toEqual(['superseded', 'applied']);
    });

    it('loses no commit that is under way', async () => {
      await commit(systemRuntime.uuid());
      const ids: string[] = [];
      let isDone = false;
      const committing = Array.from({ length: 3 }, async () => {
        while (!isDone) {
          const batch = Array.from({ length: 20 }, (_, index) =>
            index === 7 ? `named-${systemRuntime.uuid()}` : systemRuntime.uuid(),
          );
          await commit(...batch);
          ids.push(...batch);
        }
      });
      await partitions().partitionBy('day');
      isDone = true;
      await Promise.all(committing);
      expect(ids.length).toBeGreaterThan(0);
      expect((await backend.states(ids)).size).toBe(ids.length);
    });

    it('moves a record whose id says that it is of tomorrow', async () => {
      const id = idAt(today() + DAY_MS);
      await commit(id, systemRuntime.uuid());
      await partitions().partitionBy('day');
      expect(await tables(id)).toEqual([nameOf(today() + DAY_MS)]);
    });

    it('keeps the names of its indexes, and the rights to it, for the migrations and readers to come', async () => {
      await schema.sql('CREATE INDEX my_own ON task_results (task, created_at)');
      await schema.sql('GRANT SELECT ON task_results TO PUBLIC');
      const indexes = `SELECT relname AS name FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE indrelid = 'task_results'::regclass ORDER BY 1`;
      const before = await schema.sql(indexes);
      await partitions().partitionBy('day');
      expect(await schema.sql(indexes)).toEqual(before);
      expect(
        await schema.sql(
          `SELECT FROM information_schema.table_privileges WHERE table_schema = '${schema.name}' AND table_name = 'task_results' AND grantee = 'PUBLIC'`,
        ),
      ).toHaveLength(1);
      await schema.sql(
        'ALTER TABLE task_results ADD COLUMN later int; DROP INDEX my_own; CREATE INDEX later ON task_results (later)',
      );
      await commit(systemRuntime.uuid());
    });

    it('hands its storage parameters to its partitions', async () => {
      await schema.sql('ALTER TABLE task_results SET (fillfactor = 70, autovacuum_vacuum_threshold = 5000)');
      await partitions().partitionBy('day');
      const [row] = await schema.sql(`SELECT reloptions FROM pg_class WHERE oid = '${nameOf(today())}'::regclass`);
      expect(row).toEqual({ reloptions: ['fillfactor=70', 'autovacuum_vacuum_threshold=5000'] });
    });

    it('takes a schema of any name', async () => {
      const odd = new TestSchema({ name: `a "b".c; -- ${schema.name}` });
      try {
        await odd.migrate({ partitionBy: 'day' });
        expect(await odd.backend().capabilities.partitions?.maintain({ dryRun: false })).toMatchObject(UNCHANGED);
      } finally {
        await odd.dispose();
      }
    });

    it('refuses to leave a view with a part of the records', async () => {
      await schema.sql('CREATE VIEW failures AS SELECT id FROM task_results');
      await expect(partitions().partitionBy('day')).rejects.toMatchObject({
        code: 'LOVAGE_SCHEMA',
        message: expect.stringMatching(/depends on it \(view \S*failures\)/) as string,
      });
      await commit(systemRuntime.uuid());
    });
  });

  describe('maintained', () => {
    beforeEach(async () => void (await partitions().partitionBy('day')));

    it('does nothing where all is there', async () => {
      expect(await partitions().maintain({ dryRun: false })).toEqual({ ...UNCHANGED, period: 'day' });
    });

    it('makes what is missing', async () => {
      const week = weekFrom(today());
      await schema.sql(`DROP TABLE ${week[6]}, ${week[7]}`);
      const id = idAt(today() + 6 * DAY_MS);
      await commit(id);
      expect(await partitions().maintain({ dryRun: true })).toMatchObject({ made: week.slice(6) });
      expect(await tables(id)).toEqual(['task_results_default']);
      expect(await partitions().maintain({ dryRun: false })).toMatchObject({ made: week.slice(6) });
      expect(await partitionNames()).toEqual(['task_results_default', ...week]);
      expect(await tables(id)).toEqual([week[6]]);
    });

    it('goes on where nobody has done it for long: with the next day, if this one has records', async () => {
      await schema.sql(`DROP TABLE ${weekFrom(today()).join(', ')}`);
      await pastDay(3, {});
      const id = systemRuntime.uuid();
      await commit(id);
      expect(await partitions().maintain({ dryRun: false })).toMatchObject({
        made: weekFrom(today() + DAY_MS).slice(0, 7),
      });
      expect(await tables(id)).toEqual(['task_results_default']);
    });

    it('drops a partition if, and only if, every record is final and none is younger than results.expires', async () => {
      const empty = weekFrom(today());
      const recent = await pastDay(7, {});
      const over = await pastDay(8, {});
      const open = await pastDay(9, { state: "'STARTED'", finished_at: 'NULL' });
      const waiting = await pastDay(10, { state: "'RETRY'", finished_at: 'NULL', scheduled_at: 'now()' });
      const young = await pastDay(11, { finished_at: "now() - interval '6 days 23 hours'" });
      const requeued = await pastDay(12, { state: "'PENDING'", finished_at: 'NULL' });
      const old = await pastDay(400, {});
      const expected = {
        period: 'day',
        made: [],
        dropped: [old, over],
        held: [
          { name: requeued, because: 'open' },
          { name: young, because: 'young' },
          { name: waiting, because: 'open' },
          { name: open, because: 'open' },
        ],
      };
      expect(await partitions().maintain({ dryRun: true })).toEqual(expected);
      expect(await partitionNames()).toContain(over);
      expect(await partitions().maintain({ dryRun: false })).toEqual(expected);
      expect(await partitionNames()).toEqual(
        ['task_results_default', requeued, young, waiting, open, recent, ...empty].sort(),
      );
      await schema.sql(
        `UPDATE task_results SET state = 'FAILURE', finished_at = now() - interval '8 days' WHERE finished_at IS NULL`,
      );
      expect(await partitions().maintain({ dryRun: false })).toMatchObject({ dropped: [requeued, waiting, open] });
    });

    it('is done once by processes that race', async () => {
      const [older, old] = [await pastDay(9, {}), await pastDay(8, {})];
      await schema.sql(`DROP TABLE ${weekFrom(today())[7]}`);
      const racing = Array.from({ length: 6 }, () => partitions().maintain({ dryRun: false }));
      const changes = await Promise.all(racing);
      expect(changes.flatMap(({ dropped }) => dropped).sort()).toEqual([older, old]);
      expect(changes.flatMap(({ made }) => made)).toEqual([weekFrom(today())[7]]);
    });

    it('takes a record of a day whose partition is gone', async () => {
      const over = await pastDay(8, {});
      await partitions().maintain({ dryRun: false });
      const id = idAt(today() - 8 * DAY_MS);
      await commit(id);
      expect([over, ...(await tables(id))]).toEqual([nameOf(today() - 8 * DAY_MS), 'task_results_default']);
    });

    it('leaves alone what somebody uses for too long, and holds up nobody', async () => {
      const over = await pastDay(8, {});
      const reader = new Client({ connectionString: schema.url });
      await reader.connect();
      try {
        await reader.query(`BEGIN; SELECT FROM "${schema.name}".task_results`);
        const maintaining = partitions().maintain({ dryRun: false });
        await commit(systemRuntime.uuid());
        expect(await maintaining).toMatchObject({ dropped: [], held: [{ name: over, because: 'busy' }] });
        await reader.query('COMMIT');
      } finally {
        await reader.end();
      }
      expect(await partitions().maintain({ dryRun: false })).toMatchObject({ dropped: [over] });
    });

    it('tells a role that does not own the table, once there is something to do', async () => {
      const role = `worker_${schema.name}`;
      const url = new URL(schema.url);
      [url.username, url.password] = [role, randomUUID()];
      await schema.sql(
        `CREATE ROLE ${role} LOGIN PASSWORD '${url.password}'; GRANT USAGE ON SCHEMA ${schema.name} TO ${role};
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${schema.name} TO ${role}`,
      );
      const worker = new TestSchema({ name: schema.name, url: url.href }).backend();
      try {
        expect(await worker.capabilities.partitions?.maintain({ dryRun: false })).toMatchObject(UNCHANGED);
        const over = await pastDay(8, {});
        await schema.sql(`GRANT SELECT ON ALL TABLES IN SCHEMA ${schema.name} TO ${role}`);
        await expect(worker.capabilities.partitions?.maintain({ dryRun: false })).rejects.toMatchObject({
          code: 'LOVAGE_ACCESS_REFUSED',
        });
        expect(await partitionNames()).toContain(over);
      } finally {
        await worker.stop();
        await schema.sql(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
      }
    });

    it('never drops what somebody else has attached', async () => {
      const bounds = `FROM ('${idPrefixAt(today() - 90 * DAY_MS)}') TO ('${idPrefixAt(today() - 80 * DAY_MS)}')`;
      await schema.sql(`CREATE TABLE archive PARTITION OF task_results FOR VALUES ${bounds}`);
      expect(await partitions().maintain({ dryRun: false })).toEqual({ ...UNCHANGED, period: 'day' });
    });
  });

  describe('interrupted while it makes partitions', () => {
    const tomorrow = today() + DAY_MS;
    const reserve = `ADD CONSTRAINT task_results_reserved_1_2 CHECK (NOT (id >= '${idPrefixAt(tomorrow)}')) NOT VALID`;

    it('has a record of a reserved id tried again, like one that is locked, and harms no neighbour', async () => {
      await schema.sql(`ALTER TABLE task_results ${reserve}`);
      const writes = Array.from({ length: 8 }, (_, index) =>
        recordWrite({ id: idAt(index === 5 ? tomorrow : Date.now()) }),
      );
      const results = await backend.commit(writes.map((record) => completion(record)));
      expect(results.filter((result) => result === 'applied')).toHaveLength(7);
      expect(results[5]).toMatchObject({ code: 'LOVAGE_RESULTS_UNAVAILABLE' });
      expect(await partitions().maintain({ dryRun: false })).toEqual({ ...UNCHANGED, period: null });
      expect(await backend.commit(writes.map((record) => completion(record)))).toContain('applied');
    });

    it('is finished by the next', async () => {
      await partitions().partitionBy('day');
      await schema.sql(`DROP TABLE ${weekFrom(today())[7]}`);
      await schema.sql(`ALTER TABLE task_results_default ${reserve}`);
      expect(await partitions().maintain({ dryRun: false })).toMatchObject({ made: [weekFrom(today())[7]] });
      await commit('y');
    });
  });

  describe('swept', () => {
    const old = async (id: string, days: number): Promise<void> => {
      const at = `now() - interval '${days} days'`;
      await schema.sql(
        `UPDATE task_results SET created_at = ${at}, finished_at = CASE WHEN finished_at IS NOT NULL THEN ${at} END WHERE id = $1`,
        [id],
      );
    };

    it('deletes old records of the default partition one by one, and leaves the others to be dropped together', async () => {
      await partitions().partitionBy('day');
      const [named, recent] = ['named', systemRuntime.uuid()];
      await commit(named, 'young', recent);
      await old(named, 8);
      await old(recent, 8);
      expect(await backend.expire(10)).toBe(1);
      expect([...(await backend.states([named, 'young', recent])).keys()].sort()).toEqual([recent, 'young'].sort());
    });

    it('deletes one by one what could not be dropped for twice the time', async () => {
      await partitions().partitionBy('day');
      const ids = Array.from({ length: 5 }, () => systemRuntime.uuid());
      await commit(...ids);
      for (const id of ids) await old(id, 15);
      expect([await backend.expire(3), await backend.expire(3)]).toEqual([3, 2]);
    });

    it('deletes what waits in vain, so that it holds no partition', async () => {
      await partitions().partitionBy('day');
      const id = systemRuntime.uuid();
      await backend.commit([completion(recordWrite({ id, state: 'PENDING', resultJson: null }))]);
      await old(id, 8);
      expect(await backend.expire(10)).toBe(1);
    });
  });
});
