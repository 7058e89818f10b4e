import type { Starts, TaskAttempt } from '@lovage/core';
import { columnsOf } from '../database/columns.js';
import type { Database } from '../database/database.js';
import type { Statement } from '../database/statement.js';
import { isStorableId } from '../records/storable-id.js';
import { ATTEMPT, type StartStatements } from './statements.js';

/** The starts of the PostgreSQL result backend. What it promises is in Starts; how, in its statements. */
export class PostgresStarts implements Starts {
  readonly #database: Database;
  readonly #statements: StartStatements;

  constructor(database: Database, statements: StartStatements) {
    this.#database = database;
    this.#statements = statements;
  }

  async unended(tasks: readonly TaskAttempt[]): Promise<readonly number[]> {
    const rows = await this.#run(this.#statements.unended, tasks);
    const counts = new Map(rows.map(({ id, attempt, starts }) => [`${attempt} ${id}`, Number(starts)]));
    return tasks.map(({ id, attempt }) => counts.get(`${attempt} ${id}`) ?? 0);
  }

  async begin(tasks: readonly TaskAttempt[]): Promise<void> {
    await this.#run(this.#statements.begin, tasks);
  }

  async takeBack(tasks: readonly TaskAttempt[]): Promise<void> {
    await this.#run(this.#statements.takeBack, tasks);
  }

  async end(tasks: readonly TaskAttempt[]): Promise<void> {
    await this.#run(this.#statements.end, tasks);
  }

  async #run(statement: Statement, tasks: readonly TaskAttempt[]) {
    const storable = tasks.filter(({ id }) => isStorableId(id));
    return storable.length === 0 ? [] : await this.#database.run(statement, columnsOf(ATTEMPT, storable));
  }
}
