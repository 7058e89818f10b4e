import { LovageError, type Starts, type TaskAttempt } from '@lovage/core';
import { deferred, type Deferred } from './deferred.js';

/** Starts that tell what was asked of them, and whose database can go away, or hold its breath before it counts. */
export class WatchedStarts implements Starts {
  /** As `begin a b`. */
  readonly calls: string[] = [];
  /** So many of the next calls fail. */
  failures = 0;
  readonly #inner: Starts;
  #gate: Deferred<void> | null = null;
  #watchers: (() => void)[] = [];

  constructor(inner: Starts) {
    this.#inner = inner;
  }

  hold(): void {
    this.#gate = deferred();
  }

  release(): void {
    this.#gate?.resolve();
    this.#gate = null;
  }

  /** Resolves once this has been asked. */
  async called(call: string): Promise<void> {
    while (!this.calls.includes(call)) await new Promise<void>((resolve) => this.#watchers.push(resolve));
  }

  async unended(tasks: readonly TaskAttempt[]): Promise<readonly number[]> {
    return this.#inner.unended(tasks);
  }

  async begin(tasks: readonly TaskAttempt[]): Promise<void> {
    this.#call('begin', tasks);
    await this.#gate?.promise;
    return this.#inner.begin(tasks);
  }

  async takeBack(tasks: readonly TaskAttempt[]): Promise<void> {
    this.#call('takeBack', tasks);
    return this.#inner.takeBack(tasks);
  }

  async end(tasks: readonly TaskAttempt[]): Promise<void> {
    this.#call('end', tasks);
    return this.#inner.end(tasks);
  }

  #call(name: string, tasks: readonly TaskAttempt[]): void {
    this.calls.push([name, ...tasks.map(({ id }) => id)].join(' '));
    for (const watcher of this.#watchers.splice(0)) watcher();
    if (this.failures === 0) return;
    this.failures -= 1;
    throw new LovageError('LOVAGE_RESULTS_UNAVAILABLE', 'the database is away');
  }
}
