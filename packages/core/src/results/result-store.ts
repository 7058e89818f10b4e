import { reviveWire } from '../payload/wire-value.js';
import type { ResultBackend, TaskFilter } from './result-backend.js';
import type { TaskRecord } from './task-record.js';

/** The records of an app, read as data: what `select … from lovage.task_results` shows, typed. */
export class ResultStore {
  readonly #backend: () => Promise<ResultBackend>;

  constructor(backend: () => Promise<ResultBackend>) {
    this.#backend = backend;
  }

  /**
   * Records that fit the filter, newest first; at most 100 unless `limit` says otherwise.
   *
   * @example
   * const failed = await app.results.find({ state: 'FAILURE', task: 'billing.divide', since: yesterday, limit: 20 });
   */
  async find(filter: TaskFilter = {}): Promise<readonly TaskRecord[]> {
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
