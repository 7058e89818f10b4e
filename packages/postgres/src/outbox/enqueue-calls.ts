import { type EnqueueResult, LovageError, type OutboxCall } from '@lovage/core';
import { chunksOf } from '../database/chunks.js';
import { columnsOf } from '../database/columns.js';
import type { Run } from '../database/database.js';
import { messageSize, recordSize } from '../records/record-batches.js';
import { isStorableId } from '../records/storable-id.js';
import { CLAIM, HOLD, type OutboxStatements, type UniqueCall, enqueueValues } from './statements.js';

/** Each means that a key was freed in the instant between two statements. */
const CLAIM_ATTEMPTS = 10;

export interface EnqueueOptions {
  readonly statements: OutboxStatements;
  /** Where those who watch listen. */
  readonly channel: string;
  readonly run: Run;
}

type Call = OutboxCall & { readonly index: number };

/** True if one statement does, so that no transaction is needed around it. */
export function isOneStatement(calls: readonly OutboxCall[]): boolean {
  return calls.every(({ unique }) => unique === null) && batchesOf(indexed(calls)).length <= 1;
}

/** Writes calls, each with its record; one result a call. It may take many statements, which `run` makes one transaction. */
export async function enqueueCalls(
  calls: readonly OutboxCall[],
  options: EnqueueOptions,
): Promise<readonly EnqueueResult[]> {
  const results: EnqueueResult[] = [];
  for (const batch of batchesOf(indexed(calls))) {
    const holders = await claimKeys(batch, options);
    const free = batch.filter(({ index }) => !holders.has(index));
    for (const [index, taskId] of holders) results[index] = { taskId, written: false };
    const rows =
      free.length === 0 ? [] : await options.run(options.statements.enqueue, enqueueValues(free, options.channel));
    const written = new Set(rows.map(({ id }) => id));
    for (const { index, taskId, rowId } of free) results[index] = { taskId, written: written.has(rowId) };
    await freeKeys(
      free.filter(({ rowId }) => !written.has(rowId)),
      options,
    );
  }
  return results;
}

/** Throws LOVAGE_RESULT_NOT_STORABLE for an id that would come back as another. */
export function assertStorable(calls: readonly OutboxCall[]): void {
  const bad = calls.find(({ taskId }) => !isStorableId(taskId));
  if (bad === undefined) return;
  throw new LovageError(
    'LOVAGE_RESULT_NOT_STORABLE',
    `a call of ${bad.task} cannot be stored: its id holds a NUL or a lone surrogate`,
  );
}

/** Takes the unique keys; the tasks that stand for the calls whose keys it did not get. */
async function claimKeys(
  batch: readonly Call[],
  { run, statements }: EnqueueOptions,
): Promise<ReadonlyMap<number, string>> {
  const held = new Map<number, string>();
  // In one order, as whoever meets a key of an open transaction waits for it.
  let wanted = batch.filter(isUnique).sort((a, b) => (a.unique.key < b.unique.key ? -1 : 1));
  for (let attempt = 1; wanted.length > 0; attempt += 1) {
    if (attempt > CLAIM_ATTEMPTS)
      throw new LovageError('LOVAGE_RESULTS_UNAVAILABLE', `a unique key of ${wanted[0]?.task} changes hands too fast`);
    // Statements of their own: each has to see what was committed while the one before it waited.
    const keys = columnsOf([['key', 'text', ({ unique }) => unique.key]], wanted);
    await run(statements.dropKeys, keys);
    const outcomes = new Map(
      (await run(statements.takeKeys, columnsOf(CLAIM, wanted))).map(({ key, outcome }) => [key, outcome]),
    );
    wanted = wanted.filter(({ unique }) => outcomes.get(unique.key) !== 'taken');
    if (wanted.length === 0) break;
    const holders = new Map((await run(statements.holders, keys)).map(({ key, holder }) => [key, holder]));
    for (const { index, unique, taskId } of wanted) {
      const holder = holders.get(unique.key) ?? (outcomes.get(unique.key) === 'known' ? taskId : undefined);
      if (holder !== undefined) held.set(index, holder);
    }
    wanted = wanted.filter(({ index }) => !held.has(index));
  }
  return held;
}

/** Gives back the keys of calls that turned out to be known. */
async function freeKeys(known: readonly Call[], { run, statements }: EnqueueOptions): Promise<void> {
  const holds = known.filter(isUnique).map(({ unique, taskId }) => ({ key: unique.key, taskId }));
  if (holds.length > 0) await run(statements.release, columnsOf(HOLD, holds));
}

function isUnique(call: Call): call is Call & UniqueCall {
  return call.unique !== null;
}

function indexed(calls: readonly OutboxCall[]): readonly Call[] {
  return calls.map((call, index) => ({ ...call, index }));
}

/** Sorted as commits are; each with no id and no key twice, at most 500 calls and 8 MB. The calls of one id or key keep their order. */
function batchesOf(calls: readonly Call[]): readonly (readonly Call[])[] {
  const rounds: { readonly calls: Call[]; readonly seen: Set<string> }[] = [];
  for (const call of calls) {
    const names = [`id ${call.taskId}`, ...(call.unique === null ? [] : [`key ${call.unique.key}`])];
    const last = rounds.findLastIndex(({ seen }) => names.some((name) => seen.has(name)));
    const round = (rounds[last + 1] ??= { calls: [], seen: new Set() });
    round.calls.push(call);
    for (const name of names) round.seen.add(name);
  }
  return rounds.flatMap((round) =>
    chunksOf(
      round.calls.sort((a, b) => (a.taskId < b.taskId ? -1 : 1)),
      sizeOf,
    ),
  );
}

function sizeOf({ message, record }: OutboxCall): number {
  return messageSize(message) + (record === null ? 0 : recordSize(record));
}
