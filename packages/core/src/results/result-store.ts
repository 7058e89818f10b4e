import { type OptionCheck, checkOptions } from '../config/check-options.js';
import { isName } from '../payload/name.js';
import { reviveWire } from '../payload/wire-value.js';
import type { ResultBackend, TaskFilter } from './result-backend.js';
import type { TaskRecord } from './task-record.js';

const FILTER = {
  ids: (value) => (Array.isArray(value) && value.every((id) => typeof id === 'string') ? null : 'an array of ids'),
  state: (value) => (isName(value) ? null : 'the name of a state'),
  task: (value) => (isName(value) ? null : "a task's name"),
  since: (value) => (value instanceof Date && !Number.isNaN(value.getTime()) ? null : 'a valid Date'),
  limit: (value) => (Number.isSafeInteger(value) && (value as number) >= 0 ? null : 'an integer ≥ 0'),
} satisfies { readonly [K in keyof Required<TaskFilter>]: OptionCheck };

/** The records of an app, read as data: what `select … from lovage.task_results` shows, typed. */
export class ResultStore {
  readonly #backend: () => Promise<ResultBackend>;

  constructor(backend: () => Promise<ResultBackend>) {
    this.#backend = backend;
  }

  /**
   * Records that fit the filter, newest first; at most 100 unless `limit` says otherwise. Throws LOVAGE_USAGE for a wrong filter.
   *
   * @example
   * const failed = await app.results.find({ state: 'FAILURE', task: 'billing.divide', since: yesterday, limit: 20 });
   */
  async find(filter: TaskFilter = {}): Promise<readonly TaskRecord[]> {
    checkOptions(filter, 'find()', { checks: FILTER, code: 'LOVAGE_USAGE' });
    return (await (await this.#backend()).find(filter)).map(revived);
  }

  /** One record; undefined where there is none: the id is unknown, or the task has written nothing yet. */
  async get(id: string): Promise<TaskRecord | undefined> {
    return (await this.find({ ids: [id] }))[0];
  }

  /** Deletes records; resolves with how many there were. */
  async forget(ids: readonly string[]): Promise<number> {
    return (await this.#backend()).forget(ids);
  }
}

function revived(record: TaskRecord): TaskRecord {
  return {
    ...record,
    args: reviveWire(record.args) as TaskRecord['args'],
    kwargs: reviveWire(record.kwargs) as TaskRecord['kwargs'],
    result: reviveWire(record.result),
    progress: reviveWire(record.progress),
  };
}
