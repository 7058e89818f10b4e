import type { RecordWrite } from '@lovage/core';

/** A write and its place in the call. */
export interface IndexedWrite {
  readonly index: number;
  readonly record: RecordWrite;
}

const MAX_ROWS = 500;
const MAX_BYTES = 8 * 2 ** 20;

/**
 * The statements that one call needs, to be run in order: each sorted by id (two that overlap then lock alike and cannot deadlock),
 * no id twice, at most 500 rows and 8 MB. A larger row travels alone.
 */
export function recordBatches(writes: readonly IndexedWrite[]): readonly (readonly IndexedWrite[])[] {
  return rounds(writes).flatMap((round) => chunks([...round].sort((a, b) => compare(a.record.id, b.record.id))));
}

/** The first write of every id, then the second of those that have one, and so on. */
function rounds(writes: readonly IndexedWrite[]): readonly (readonly IndexedWrite[])[] {
  const seen = new Map<string, number>();
  const result: IndexedWrite[][] = [];
  for (const write of writes) {
    const round = seen.get(write.record.id) ?? 0;
    seen.set(write.record.id, round + 1);
    (result[round] ??= []).push(write);
  }
  return result;
}

function chunks(sorted: readonly IndexedWrite[]): readonly (readonly IndexedWrite[])[] {
  const result: IndexedWrite[][] = [];
  let bytes = Infinity;
  for (const write of sorted) {
    const size = sizeOf(write.record);
    const last = result.at(-1);
    if (last === undefined || last.length === MAX_ROWS || bytes + size > MAX_BYTES) {
      result.push([write]);
      bytes = size;
    } else {
      last.push(write);
      bytes += size;
    }
  }
  return result;
}

/** The bytes of all that may be large. */
export function sizeOf({ argsJson, kwargsJson, resultJson, progressJson, error }: RecordWrite): number {
  let size = 0;
  for (const json of [argsJson, kwargsJson, resultJson, progressJson])
    if (json !== null) size += Buffer.byteLength(json);
  for (let cause = error ?? undefined; cause !== undefined; cause = cause.cause) {
    size += Buffer.byteLength(cause.message) + Buffer.byteLength(cause.stack ?? '');
  }
  return size;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
