import type { Message, OutboxMessage, RecordWrite } from '@lovage/core';
import { chunksOf } from '../database/chunks.js';

/** What is written as one, of which there may be many in a statement. */
export interface Write {
  readonly record: RecordWrite;
  readonly followUps: readonly OutboxMessage[];
}

/**
 * The statements that one call needs, to be run in order: each sorted by id (two that overlap then lock alike and cannot deadlock),
 * no id twice, at most 500 rows and 8 MB. A larger row travels alone.
 */
export function recordBatches<W extends Write>(writes: readonly W[]): readonly (readonly W[])[] {
  return rounds(writes).flatMap((round) =>
    chunksOf(
      [...round].sort((a, b) => compare(a.record.id, b.record.id)),
      sizeOf,
    ),
  );
}

/** The first write of every id, then the second of those that have one, and so on. */
function rounds<W extends Write>(writes: readonly W[]): readonly (readonly W[])[] {
  const seen = new Map<string, number>();
  const result: W[][] = [];
  for (const write of writes) {
    const round = seen.get(write.record.id) ?? 0;
    seen.set(write.record.id, round + 1);
    (result[round] ??= []).push(write);
  }
  return result;
}

/** The bytes of all that may be large. */
export function sizeOf({ record, followUps }: Write): number {
  let size = recordSize(record);
  for (const { message } of followUps) size += messageSize(message);
  return size;
}

export function recordSize({ argsJson, kwargsJson, resultJson, progressJson, error }: RecordWrite): number {
  let size = 0;
  for (const json of [argsJson, kwargsJson, resultJson, progressJson])
    if (json !== null) size += Buffer.byteLength(json);
  for (let cause = error ?? undefined; cause !== undefined; cause = cause.cause) {
    size += Buffer.byteLength(cause.message) + Buffer.byteLength(cause.stack ?? '');
  }
  return size;
}

export function messageSize({ body, headers }: Message): number {
  return body.byteLength + Buffer.byteLength(JSON.stringify(headers));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
