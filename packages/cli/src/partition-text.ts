import {
  LovageError,
  type HeldPartition,
  type Lovage,
  type PartitionChanges,
  type ResultPartitions,
} from '@lovage/core';
import type { Colors } from './terminal.js';

const REASONS = {
  open: 'it holds a record that is not final',
  young: 'it holds a record that finished within results.expires',
  busy: 'it was in use all the time: try again',
} as const satisfies Record<HeldPartition['because'], string>;

/** What has become of the partitions, or would, a line each. */
export function describePartitions(
  { made, dropped, held }: PartitionChanges,
  { colors, dryRun }: { readonly colors: Colors; readonly dryRun: boolean },
): readonly string[] {
  const [make, drop] = dryRun ? ['would make', 'would drop'] : ['made', 'dropped'];
  return [
    ...made.map((name) => `${colors.green(make)} ${name}`),
    ...dropped.map((name) => `${colors.green(drop)} ${name}`),
    ...held.map(({ name, because }) => `${colors.yellow('kept')} ${name}: ${REASONS[because]}`),
  ];
}

/** LOVAGE_DRIVER for results that cannot be partitioned. */
export async function partitionsOf(app: Lovage): Promise<ResultPartitions> {
  const partitions = (await app.resultBackend())?.capabilities.partitions;
  if (partitions !== undefined) return partitions;
  throw new LovageError('LOVAGE_DRIVER', "this app's result backend cannot be partitioned: PostgreSQL's can");
}
