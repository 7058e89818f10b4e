import {
  type CommitResult,
  type Completion,
  type RecordWrite,
  type ResultBackend,
  type TaskRecord,
  isLovageError,
  systemRuntime,
} from '@lovage/core';
import { DEADLINE_MS } from './eventually.js';

/** JSON that only jsonb refuses: a string that holds U+0000. */
export const NUL = '"a\\u0000b"';

export function newId(): string {
  return systemRuntime.uuid();
}

/** A write of a task that succeeded, unless told otherwise. */
export function recordWrite(fields: Partial<RecordWrite> = {}): RecordWrite {
  const id = fields.id ?? newId();
  return {
    id,
    task: 'conformance.task',
    state: 'SUCCESS',
    attempt: 0,
    argsJson: '[1,2]',
    kwargsJson: '{}',
    resultJson: '0.5',
    error: null,
    progressJson: null,
    retries: 0,
    queue: 'conformance',
    worker: null,
    parentId: null,
    rootId: id,
    groupId: null,
    runtimeMs: null,
    due: null,
    ...fields,
  };
}

/** A completion that causes nothing, unless told otherwise. */
export function completion(record: RecordWrite, fields: Partial<Completion> = {}): Completion {
  return { record, replyTo: null, followUps: [], uniqueKey: null, parkedRow: null, ...fields };
}

export async function commit(
  backend: ResultBackend,
  ...records: readonly RecordWrite[]
): Promise<readonly CommitResult[]> {
  return await backend.commit(records.map((record) => completion(record)));
}

export async function only(backend: ResultBackend, id: string): Promise<TaskRecord> {
  const found = await backend.find({ ids: [id] });
  expect(found).toHaveLength(1);
  return found[0] as TaskRecord;
}

export async function waitFor(backend: ResultBackend, id: string): Promise<TaskRecord> {
  return await backend.waitFor(id, AbortSignal.timeout(DEADLINE_MS));
}

/** Resolves once the store's clock shows a later millisecond than now. */
export async function clockMoves(backend: ResultBackend): Promise<void> {
  const created = async (): Promise<number> => {
    const write = recordWrite({ task: 'conformance.clock' });
    await commit(backend, write);
    const { createdAt } = await only(backend, write.id);
    await backend.forget([write.id]);
    return createdAt.getTime();
  };
  const before = await created();
  while ((await created()) === before);
}

export function codeOf(result: unknown): unknown {
  return isLovageError(result) ? result.code : result;
}

/** Of times that one commit takes one by one: equal but for what lies between two looks at the clock. */
export function expectNear(time: Date | number | null | undefined, expected: Date | number | null): void {
  expect(Math.abs(Number(time) - Number(expected))).toBeLessThan(5_000);
}
