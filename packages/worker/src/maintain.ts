import type { PartitionChanges, ResultBackend } from '@lovage/core';

/** Few enough that a delete never holds locks for long. */
const BATCH = 1_000;

export interface MaintenanceOptions {
  readonly results: ResultBackend;
  /** How long revocations are kept. */
  readonly keepRevocationsMs: number;
  /** Ends it between two batches. */
  readonly signal?: AbortSignal;
}

export interface MaintenanceReport {
  /** How many records were deleted one by one. */
  readonly records: number;
  readonly revocations: number;
  /** null: this backend has no partitions. */
  readonly partitions: PartitionChanges | null;
}

/** Deletes records and revocations that have been kept long enough (`results.expires`, `revocations.keep`), in small batches; makes and drops partitions. Any number of processes may do it at once. */
export async function maintain({ results, keepRevocationsMs, signal }: MaintenanceOptions): Promise<MaintenanceReport> {
  const { revocations, partitions } = results.capabilities;
  const inBatches = async (expire: (limit: number) => Promise<number>): Promise<number> => {
    let total = 0;
    while (signal?.aborted !== true) {
      const deleted = await expire(BATCH);
      total += deleted;
      if (deleted < BATCH) break;
    }
    return total;
  };
  const records = await inBatches((limit) => results.expire(limit));
  const revoked = revocations && (await inBatches((limit) => revocations.expire(keepRevocationsMs, limit)));
  const changes = signal?.aborted === true ? undefined : await partitions?.maintain({ dryRun: false });
  return { records, revocations: revoked ?? 0, partitions: changes ?? null };
}
