import { Task, TaskContext } from '@lovage/core';
import { deferred, type Deferred } from './deferred.js';

export interface GatedRun {
  readonly id: string;
  readonly context: TaskContext;
  /** Settles the run. */
  readonly gate: Deferred<unknown>;
  readonly signal: () => AbortSignal;
}

/** Runs until the test lets it end. */
@Task({ name: 'gated' })
export class Gated {
  /** In the order they began. */
  static runs: GatedRun[] = [];
  static watchers: (() => void)[] = [];

  /** Resolves once so many runs have begun. */
  static async running(count: number): Promise<void> {
    while (Gated.runs.length < count) await new Promise<void>((resolve) => Gated.watchers.push(resolve));
  }

  static run(index: number): GatedRun {
    const found = Gated.runs[index];
    if (found === undefined) throw new RangeError(`the task has not run ${index + 1} times`);
    return found;
  }

  /** At the end of a test: lets all that still run end, or a stop would wait for them. */
  static release(): void {
    for (const { gate } of Gated.runs.splice(0)) gate.resolve(undefined);
  }

  async run(): Promise<unknown> {
    const context = TaskContext.current();
    const gate = deferred<unknown>();
    Gated.runs.push({ id: context.id, context, gate, signal: () => context.signal });
    for (const watcher of Gated.watchers.splice(0)) watcher();
    return gate.promise;
  }
}
