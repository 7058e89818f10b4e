/** How long a time one partition spans, in UTC: a day, a week from Monday on, a month. */
export const PARTITION_PERIODS = ['day', 'week', 'month'] as const;
export type PartitionPeriod = (typeof PARTITION_PERIODS)[number];

/** What was done, or what would be. Partitions go by the names of their tables, oldest first. */
export interface PartitionChanges {
  /** null: the records are not partitioned, and nothing was done. */
  readonly period: PartitionPeriod | null;
  readonly made: readonly string[];
  readonly dropped: readonly string[];
  /** Whose records should all be over by now, and are not. */
  readonly held: readonly HeldPartition[];
}

export interface HeldPartition {
  readonly name: string;
  /** `open`: it holds a record that is not final; `young`: one that finished within `results.expires`; `busy`: somebody has used it, or the whole table, for too long. */
  readonly because: 'open' | 'young' | 'busy';
}

export interface MaintainOptions {
  /** true: nothing is changed. */
  readonly dryRun: boolean;
}

/**
 * Keeps records in partitions by the time in their ids (UUIDv7), so that old ones are dropped together. Records of other ids, and of times that have no partition, are in one more
 * partition, where each is deleted by itself. Connects by itself, as `SchemaManager` does.
 */
export interface ResultPartitions {
  /**
   * Turns it on, while workers run; records that are there stay where they are. Does nothing where it is on. LOVAGE_SCHEMA where it is on with another period, or where what hangs on the table (a
   * view, a trigger) would be left with a part of it; LOVAGE_CONFIG for a period longer than `results.expires`; LOVAGE_RESULTS_UNAVAILABLE where the table was in use for too long.
   */
  partitionBy(period: PartitionPeriod): Promise<PartitionChanges>;

  /**
   * Makes the partitions of the days to come, and drops those in which every record is final and finished longer ago than `results.expires`. Any number of processes may do it at once.
   * Nobody else waits longer than moments for it.
   */
  maintain(options: MaintainOptions): Promise<PartitionChanges>;
}
