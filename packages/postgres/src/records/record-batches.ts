import type { Completion, Message, RecordWrite } from '@lovage/core';
import { chunksOf } from '../database/chunks.js';

/** One completion of a call. */
export interface Entry {
  readonly completion: Completion;
  /** Its place in the call. */
  readonly index: number;
  /** The bytes of all of it that may be large. */
  readonly size: number;
}

export function entryOf(completion: Completion, index: number): Entry {
  return { completion, index, size: sizeOf(completion) };
}

/**
 * The statements that one call needs, to be run in order: each sorted by id (two that overlap then lock alike and cannot deadlock),
 * no id twice, at most 500 rows and 8 MB. A larger row travels alone.
 */
export function recordBatches(entries: readonly Entry[]): readonly (readonly Entry[])[] {
  return rounds(entries).flatMap((round) => chunksOf(round.sort(byId), ({ size }) => size));
}

/** The first write of every id, then the second of those that have one, and so on. */
function rounds(entries: readonly Entry[]): readonly Entry[][] {
  const seen = new Map<string, number>();
  const result: Entry[][] = [];
  for (const entry of entries) {
    const { id } = entry.completion.record;
    const round = seen.get(id) ?? 0;
    seen.set(id, round + 1);
    (result[round] ??= []).push(entry);
  }
  return result;
}

function sizeOf({ record, followUps }: Completion): number {
  let size = recordSize(record);
  for (const { message } of followUps) size += messageSize(message);
  return size;
}

export function recordSize({ argsJson, kwargsJson, resultJson, progressJson, error }: RecordWrite): number {
  let size = bytesOf(argsJson) + bytesOf(kwargsJson) + bytesOf(resultJson) + bytesOf(progressJson);
  for (let cause = error ?? undefined; cause !== undefined; cause = cause.cause)
    size += bytesOf(cause.message) + bytesOf(cause.stack);
  return size;
}

export function messageSize({ body, headers }: Message): number {
  return body.byteLength + bytesOf(JSON.stringify(headers));
}

function bytesOf(text: string | null): number {
  return text === null ? 0 : Buffer.byteLength(text);
}

function byId({ completion: { record: a } }: Entry, { completion: { record: b } }: Entry): number {
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}
