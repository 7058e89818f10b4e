import {
  LovageError,
  type HeldPartition,
  type MaintainOptions,
  type PartitionChanges,
  type PartitionPeriod,
  type ResultPartitions,
} from '@lovage/core';
import { escapeIdentifier } from 'pg';
import { sqlStateOf } from '../database/database-error.js';
import type { Database } from '../database/database.js';
import { statement } from '../database/statement.js';
import { FINAL_STATES } from '../records/statements.js';
import { partitionPlainTable, refuseDependents } from './partition-plain-table.js';
import {
  DEFAULT_PARTITION,
  PLAIN,
  type Partition,
  type PartitionedTable,
  type Query,
  firstMissing,
  partitionsFrom,
  readTable,
} from './partitioned-table.js';
import { idPrefixAt } from './periods.js';
import { RESERVED } from './reserved.js';

const DAY_MS = 86_400_000;
const LONGEST_MS = { day: DAY_MS, week: 7 * DAY_MS, month: 31 * DAY_MS } as const satisfies Record<
  PartitionPeriod,
  number
>;

/** Whoever wants the table meanwhile waits as long: less than a worker's statement does. */
const LOCK_TIMEOUT_MS = 300;
const LOCK_ATTEMPTS = 5;
/** Another process that does the same. */
const TURN_TIMEOUT_MS = 20_000;
const LOCK_NOT_AVAILABLE = '55P03';
const UNDEFINED_TABLE = '42P01';

export interface PostgresPartitionsOptions {
  readonly database: Database;
  readonly schema: string;
  readonly expiresMs: number;
}

/** From which table records are deleted one by one, once they have finished so long ago. */
export interface Sweep {
  readonly table: string;
  readonly ageMs: number;
}

/**
 * task_results in partitions by ranges of ids, which for UUIDv7s are ranges of time; docs/adr/0033 has the reasons.
 *
 * To attach a partition, PostgreSQL reads the whole default partition under a lock that keeps everybody out, unless a constraint says already that no row of it belongs there. So that
 * constraint comes first, is validated while others read and write, and goes with the attachment. While it stands, an id of that range is refused: nobody makes one so early, and a record that has one all the
 * same is tried again like one that is locked (`failureOf`).
 */
export class PostgresPartitions implements ResultPartitions {
  readonly #database: Database;
  readonly #schema: string;
  readonly #expiresMs: number;
  /** Until when at least a partition holds a record that is too young. */
  readonly #youngUntil = new Map<string, number>();
  readonly #query: Query = (text, values = []) => this.#database.run(statement(text), values);

  constructor({ database, schema, expiresMs }: PostgresPartitionsOptions) {
    this.#database = database;
    this.#schema = schema;
    this.#expiresMs = expiresMs;
  }

  async partitionBy(period: PartitionPeriod): Promise<PartitionChanges> {
    const days = LONGEST_MS[period] / DAY_MS;
    if (this.#expiresMs < LONGEST_MS[period])
      throw new LovageError(
        'LOVAGE_CONFIG',
        `expected results.expires to be at least ${days}d, as long as the partitions by ${period}, got ${this.#expiresMs / DAY_MS}d: records would be deleted one by one before a partition is over`,
      );
    const { period: present } = await this.#read();
    if (present !== null && present !== period)
      throw new LovageError('LOVAGE_SCHEMA', `${this.#schema}.${PLAIN} is partitioned by ${present} already`);
    return { period, made: await this.#make(period), dropped: [], held: [] };
  }

  async maintain({ dryRun }: MaintainOptions): Promise<PartitionChanges> {
    const table = await this.#read();
    const { period } = table;
    if (period === null) {
      // Of a process that died while it turned partitions on.
      if (table.reserved.length > 0 && !dryRun) await this.#inTurn((query) => this.#unreserve(query));
      return { period, made: [], dropped: [], held: [] };
    }
    const made = dryRun
      ? (await this.#missing(this.#query, table, period)).map(({ name }) => name)
      : await this.#make(period);
    const dropped: string[] = [];
    const held: HeldPartition[] = [];
    for (const { name } of table.partitions.filter(({ to }) => to <= table.now - this.#expiresMs)) {
      const end = await this.#settle(name, { now: table.now, dryRun });
      if (end === 'dropped') dropped.push(name);
      else if (end !== 'gone') held.push({ name, because: end });
    }
    return { period, made, dropped, held };
  }

  /**
   * A partition that cannot be dropped for as long again is emptied row by row, so that one open record does not keep all its neighbours; and so is every one if it spans more time than records are
   * kept.
   */
  async sweeps(): Promise<readonly [Sweep, ...Sweep[]]> {
    const { period } = await this.#read();
    const all = { table: PLAIN, ageMs: this.#expiresMs };
    if (period === null || LONGEST_MS[period] > this.#expiresMs) return [all];
    return [
      { table: DEFAULT_PARTITION, ageMs: this.#expiresMs },
      { table: PLAIN, ageMs: 2 * this.#expiresMs },
    ];
  }

  #read(): Promise<PartitionedTable> {
    return readTable(this.#query, this.#schema);
  }

  async #missing(query: Query, table: PartitionedTable, period: PartitionPeriod): Promise<readonly Partition[]> {
    const first = await firstMissing(query, table, { schema: this.#schema, period });
    return partitionsFrom(first, period, table.now);
  }

  /** Resolves with the names of those that it has made. */
  async #make(period: PartitionPeriod): Promise<readonly string[]> {
    const table = await this.#read();
    if (
      table.period !== null &&
      table.reserved.length === 0 &&
      (await this.#missing(this.#query, table, period)).length === 0
    )
      return [];
    const missing = await this.#inTurn((query) => this.#reserve(query, period));
    if (missing.length === 0) return [];
    try {
      return await this.#inTurn((query) => this.#attach(query, missing));
    } catch (error) {
      // What fails here too is done by the next who comes.
      await this.#inTurn((query) => this.#unreserve(query)).catch(() => undefined);
      throw error;
    }
  }

  /** Keeps the ids of the missing partitions out of the rest, and resolves with them. */
  async #reserve(query: Query, period: PartitionPeriod): Promise<readonly Partition[]> {
    const table = await readTable(query, this.#schema);
    if (table.period === null) await refuseDependents(query, this.#schema);
    const missing = await this.#missing(query, table, period);
    const name = missing.length > 0 ? reservedNameOf(missing) : null;
    await this.#unreserve(query, name);
    if (name !== null && !table.reserved.includes(name))
      await query(
        `ALTER TABLE ${this.#name(table.rest)} ADD CONSTRAINT ${name} CHECK (NOT (${rangeOf(missing)})) NOT VALID`,
      );
    return missing;
  }

  async #unreserve(query: Query, except: string | null = null): Promise<void> {
    const { rest, reserved } = await readTable(query, this.#schema);
    for (const name of reserved)
      if (name !== except) await query(`ALTER TABLE ${this.#name(rest)} DROP CONSTRAINT ${name}`);
  }

  async #attach(query: Query, missing: readonly Partition[]): Promise<readonly string[]> {
    const { period, rest, reserved } = await readTable(query, this.#schema);
    const name = reservedNameOf(missing);
    // Somebody else was faster.
    if (!reserved.includes(name)) return [];
    const table = this.#name(PLAIN);
    await query(`CREATE TEMP TABLE lovage_moved (LIKE ${this.#name(rest)}) ON COMMIT DROP`);
    await query(
      `WITH moved AS (DELETE FROM ${this.#name(rest)} WHERE ${rangeOf(missing)} RETURNING *) INSERT INTO pg_temp.lovage_moved SELECT * FROM moved`,
    );
    await query(`ALTER TABLE ${this.#name(rest)} VALIDATE CONSTRAINT ${name}`);
    if (period === null) await partitionPlainTable(query, this.#schema, name);
    for (const partition of missing) {
      await query(
        `CREATE TABLE ${this.#name(partition.name)} (LIKE ${table} INCLUDING ALL)${await this.#storage(query)}`,
      );
      await query(
        `ALTER TABLE ${table} ATTACH PARTITION ${this.#name(partition.name)} FOR VALUES FROM ('${idPrefixAt(partition.from)}') TO ('${idPrefixAt(partition.to)}')`,
      );
    }
    await query(`ALTER TABLE ${this.#name(DEFAULT_PARTITION)} DROP CONSTRAINT ${name}`);
    await query(`INSERT INTO ${table} SELECT * FROM pg_temp.lovage_moved`);
    return missing.map((partition) => partition.name);
  }

  /** What migrations have said of the table's storage: a partitioned table has none to hand on. */
  async #storage(query: Query): Promise<string> {
    const [row] = await query(
      `SELECT array_to_string(reloptions, ', ') AS options FROM pg_class WHERE oid = to_regclass($1)`,
      [this.#name(DEFAULT_PARTITION)],
    );
    const options = row?.['options'] ?? null;
    return options === null ? '' : ` WITH (${options})`;
  }

  /** What has become of it, or would; `gone`: somebody else was faster. */
  async #settle(
    name: string,
    { now, dryRun }: { now: number; dryRun: boolean },
  ): Promise<HeldPartition['because'] | 'dropped' | 'gone'> {
    // Once a minute this must be cheap: all of it is read only where it may well be over.
    if (now < (this.#youngUntil.get(name) ?? 0)) return 'young';
    try {
      const because = await this.#transaction((query) => this.#heldBy(query, { name, now }));
      return because ?? (dryRun ? 'dropped' : await this.#drop(name, now));
    } catch (error) {
      if (sqlStateOf(error) === UNDEFINED_TABLE) return 'gone';
      throw error;
    }
  }

  async #drop(name: string, now: number): Promise<HeldPartition['because'] | 'dropped'> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#inTurn(async (query) => {
          // Nobody writes to it any more, from before it is looked at again until it is gone.
          await query(`LOCK TABLE ${this.#name(name)} IN SHARE MODE`);
          const because = await this.#heldBy(query, { name, now });
          if (because === null) await query(`DROP TABLE ${this.#name(name)}`);
          return because ?? 'dropped';
        });
      } catch (error) {
        if (sqlStateOf(error) !== LOCK_NOT_AVAILABLE) throw error;
        if (attempt === LOCK_ATTEMPTS) return 'busy';
      }
    }
  }

  /** What keeps it; null: nothing. An index has what is open. */
  async #heldBy(query: Query, { name, now }: { name: string; now: number }): Promise<'open' | 'young' | null> {
    const open = await query(`SELECT FROM ${this.#name(name)} WHERE state NOT IN (${FINAL_STATES}) LIMIT 1`);
    if (open.length > 0) return 'open';
    const [row] = await query(
      `SELECT extract(epoch FROM max(COALESCE(finished_at, now()))) * 1000 AS last FROM ${this.#name(name)}`,
    );
    const youngUntil = Number(row?.['last'] ?? 0) + this.#expiresMs;
    if (youngUntil < now) return null;
    this.#youngUntil.set(name, youngUntil);
    return 'young';
  }

  #name(table: string): string {
    return `${escapeIdentifier(this.#schema)}.${escapeIdentifier(table)}`;
  }

  /** One transaction, while no other process migrates or maintains this schema. What it locks it waits for but a moment. */
  #inTurn<T>(work: (query: Query) => Promise<T>): Promise<T> {
    return this.#transaction(async (query) => {
      await query(`SET LOCAL lock_timeout = ${TURN_TIMEOUT_MS}`);
      await query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [`lovage.migrate.${this.#schema}`]);
      await query(`SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}`);
      return await work(query);
    });
  }

  /** What it reads takes as long as it takes. */
  async #transaction<T>(work: (query: Query) => Promise<T>): Promise<T> {
    return await this.#database.use(async (client) => {
      const query: Query = async (text, values = []) =>
        (await client.query<Record<string, string | null>>(text, [...values])).rows;
      await query('BEGIN ISOLATION LEVEL READ COMMITTED');
      try {
        await query('SET LOCAL statement_timeout = 0');
        const result = await work(query);
        await query('COMMIT');
        return result;
      } catch (error) {
        await query('ROLLBACK').catch(() => undefined);
        throw error;
      }
    });
  }
}

/** Of the ids of all of them, which are one after the other. */
function rangeOf(partitions: readonly Partition[]): string {
  const { from, to } = spanOf(partitions);
  return `id >= '${idPrefixAt(from)}' AND id < '${idPrefixAt(to)}'`;
}

/** Says what is reserved, so that processes that reserve the same go on with each other's. */
function reservedNameOf(partitions: readonly Partition[]): string {
  const { from, to } = spanOf(partitions);
  return `${RESERVED}_${from.toString(16)}_${to.toString(16)}`;
}

function spanOf(partitions: readonly Partition[]): { readonly from: number; readonly to: number } {
  return { from: partitions[0]?.from ?? 0, to: partitions.at(-1)?.to ?? 0 };
}
