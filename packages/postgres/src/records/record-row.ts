import type { ErrorRecord, RecordState, TaskEnd, TaskRecord } from '@lovage/core';
import type { Row } from '../database/database.js';

/** One row of task_results, as the statements here select it. */
export function recordOf(row: Row): TaskRecord {
  return {
    id: text(row, 'id'),
    task: text(row, 'task'),
    state: text(row, 'state'),
    attempt: Number(row['attempt']),
    args: json(row, 'args') as TaskRecord['args'],
    kwargs: json(row, 'kwargs') as TaskRecord['kwargs'],
    result: json(row, 'result'),
    error: json(row, 'error') as ErrorRecord | null,
    progress: json(row, 'progress'),
    retries: Number(row['retries']),
    queue: text(row, 'queue'),
    worker: row['worker'] ?? null,
    parentId: row['parent_id'] ?? null,
    rootId: text(row, 'root_id'),
    groupId: row['group_id'] ?? null,
    createdAt: new Date(Number(row['created_at'])),
    startedAt: date(row, 'started_at'),
    finishedAt: date(row, 'finished_at'),
    scheduledAt: date(row, 'scheduled_at'),
    history: historyOf(row),
  };
}

/** The same of a row that is its state alone. */
export function stateOf(row: Row): [id: string, state: RecordState] {
  return [text(row, 'id'), { state: text(row, 'state'), attempt: Number(row['attempt']) }];
}

function historyOf(row: Row): readonly TaskEnd[] {
  const ends = (json(row, 'history') ?? []) as readonly (Omit<TaskEnd, 'finishedAt'> & {
    readonly finishedAt: string;
  })[];
  return ends.map((end) => ({ ...end, finishedAt: new Date(end.finishedAt) }));
}

function text(row: Row, column: string): string {
  return row[column] ?? '';
}

function json(row: Row, column: string): unknown {
  const value = row[column] ?? null;
  return value === null ? null : (JSON.parse(value) as unknown);
}

function date(row: Row, column: string): Date | null {
  const value = row[column] ?? null;
  return value === null ? null : new Date(Number(value));
}
