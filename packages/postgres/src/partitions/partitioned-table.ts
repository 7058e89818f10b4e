import { LovageError, type PartitionPeriod } from '@lovage/core';
import { escapeIdentifier } from 'pg';
import type { Row } from '../database/database.js';
import { endOf, idPrefixAt, instantOf, periodOf, startOf } from './periods.js';
import { RESERVED } from './reserved.js';

/** Runs SQL on one connection; what it returns is text. */
export type Query = (text: string, values?: readonly unknown[]) => Promise<readonly Row[]>;

/** One partition: a table, and the instants between which the ids of its records were made. */
export interface Partition {
  readonly name: string;
  readonly from: number;
  readonly to: number;
}

/** How task_results stands. */
export interface PartitionedTable {
  /** null: it is one plain table. */
  readonly period: PartitionPeriod | null;
  /** Oldest first. Those that somebody else has made are none of ours. */
  readonly partitions: readonly Partition[];
  /** The table of records that are in no partition: the default partition, or the plain table itself. */
  readonly rest: string;
  /** Constraints that keep a range of ids out of `rest`, while partitions are made for them. */
  readonly reserved: readonly string[];
  /** The database's clock. */
  readonly now: number;
}

export const PLAIN = 'task_results';
export const DEFAULT_PARTITION = 'task_results_default';

/** How many periods after this one have their partition already. At least a week: `lovage maintain` may run so rarely. */
const AHEAD = { day: 7, week: 2, month: 2 } as const satisfies Record<PartitionPeriod, number>;

const READ = `
SELECT round(extract(epoch FROM clock_timestamp()) * 1000)::text AS now, (parent.relkind = 'p')::text AS is_partitioned, child.relname::text AS name,
  pg_get_expr(child.relpartbound, child.oid) AS bound
FROM pg_class AS parent LEFT JOIN pg_inherits ON inhparent = parent.oid LEFT JOIN pg_class AS child ON child.oid = inhrelid
WHERE parent.oid = to_regclass($1)`;

const READ_RESERVED = `SELECT conname::text AS name FROM pg_constraint WHERE conrelid = to_regclass($1) AND conname LIKE '${RESERVED}%'`;

/** Throws LOVAGE_SCHEMA if there is none. */
export async function readTable(query: Query, schema: string): Promise<PartitionedTable> {
  const rows = await query(READ, [`${escapeIdentifier(schema)}.${PLAIN}`]);
  const [first] = rows;
  if (first === undefined)
    throw new LovageError(
      'LOVAGE_SCHEMA',
      `schema ${schema} has no table ${PLAIN}: run \`lovage migrate -A <app>\` first`,
    );
  const partitions = rows.flatMap(partitionOf).sort((a, b) => a.from - b.from);
  const last = partitions.at(-1);
  const isPartitioned = first['is_partitioned'] === 'true';
  const rest = isPartitioned ? DEFAULT_PARTITION : PLAIN;
  const reserved = await query(READ_RESERVED, [`${escapeIdentifier(schema)}.${rest}`]);
  return {
    period: isPartitioned ? (last === undefined ? 'day' : periodOf(last)) : null,
    partitions,
    rest,
    reserved: reserved.map(({ name }) => name ?? ''),
    now: Number(first['now']),
  };
}

function partitionOf({ name, bound }: Row): readonly Partition[] {
  const [, from, to] =
    /^FOR VALUES FROM \('([0-9a-f]{8}-[0-9a-f]{4})'\) TO \('([0-9a-f]{8}-[0-9a-f]{4})'\)$/.exec(bound ?? '') ?? [];
  if (name?.startsWith(`${PLAIN}_p`) !== true || from === undefined || to === undefined) return [];
  return [{ name, from: instantOf(from), to: instantOf(to) }];
}

/** From where on partitions are missing: where the last one ends; else this period, or the next if records of this one are in `rest` already. */
export async function firstMissing(query: Query, table: PartitionedTable, options: MissingOptions): Promise<number> {
  const last = table.partitions.at(-1);
  if (last !== undefined && last.to > table.now) return last.to;
  const start = startOf(options.period, table.now);
  const end = endOf(options.period, start);
  const [used] = await query(
    `SELECT id FROM ${escapeIdentifier(options.schema)}.${table.rest} WHERE id >= $1 AND id < $2 LIMIT 1`,
    [idPrefixAt(start), idPrefixAt(end)],
  );
  return used === undefined ? start : end;
}

export interface MissingOptions {
  readonly schema: string;
  readonly period: PartitionPeriod;
}

/** The partitions to be made from an instant on: those of this period and of `AHEAD` more. */
export function partitionsFrom(first: number, period: PartitionPeriod, now: number): readonly Partition[] {
  let until = startOf(period, now);
  for (let count = 0; count <= AHEAD[period]; count += 1) until = endOf(period, until);
  const made: Partition[] = [];
  for (let from = first; from < until; from = endOf(period, from)) {
    const day = new Date(from).toISOString().slice(0, 10).replaceAll('-', '');
    made.push({ name: `${PLAIN}_p${day}`, from, to: endOf(period, from) });
  }
  return made;
}
