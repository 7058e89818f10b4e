import {
  LovageError,
  MemoryResultBackend,
  type CommitResult,
  type Completion,
  type Outbox,
  type RecordState,
  type Runtime,
} from '@lovage/core';
import { deferred, type Deferred } from './deferred.js';
import { FragileOutbox } from './fragile-outbox.js';

/** The in-memory backend, with a database that can go away, hold its breath, and refuse rows. */
export class FragileResults extends MemoryResultBackend {
  /** Calls made while `away`. */
  failures = 0;
  away = false;
  /** The next commit is applied, and its answer is lost. */
  loseAnswer = false;
  /** Ids whose rows cannot be stored, whatever they say. */
  readonly refused = new Set<string>();
  /** Ids whose rows somebody's transaction has locked. */
  readonly locked = new Set<string>();
  readonly outbox: FragileOutbox;
  /** What each commit wrote, as `id state`. */
  readonly commits: string[][] = [];
  #gate: Deferred<void> | null = null;
  #watchers: (() => void)[] = [];

  constructor(runtime?: Runtime) {
    super({ expiresMs: 1_000, ...(runtime === undefined ? {} : { runtime }) });
    this.outbox = new FragileOutbox(this.capabilities.outbox as Outbox);
    this.outbox.before = () => {
      if (this.away) throw new LovageError('LOVAGE_RESULTS_UNAVAILABLE', 'the database is away');
    };
    Object.assign(this.capabilities, { outbox: this.outbox });
  }

  /** Commits wait until the gate opens. */
  hold(): void {
    this.#gate = deferred();
  }

  release(): void {
    this.#gate?.resolve();
    this.#gate = null;
  }

  /** Resolves once this many calls have failed. */
  async failed(times: number): Promise<void> {
    while (this.failures < times) await new Promise<void>((resolve) => this.#watchers.push(resolve));
  }

  override async commit(completions: readonly Completion[]): Promise<readonly CommitResult[]> {
    this.#assertThere();
    this.commits.push(completions.map(({ record }) => `${record.id} ${record.state}`));
    for (const watcher of this.#watchers.splice(0)) watcher();
    await this.#gate?.promise;
    this.#assertThere();
    const stored = completions.filter(({ record }) => !this.refused.has(record.id) && !this.locked.has(record.id));
    const results = [...(await super.commit(stored))];
    if (this.loseAnswer) {
      this.loseAnswer = false;
      throw new LovageError('LOVAGE_RESULTS_UNAVAILABLE', 'the answer was lost');
    }
    return completions.map(({ record }) => {
      if (this.refused.has(record.id)) return new LovageError('LOVAGE_RESULT_NOT_STORABLE', 'this row is refused');
      if (this.locked.has(record.id)) return new LovageError('LOVAGE_RESULTS_UNAVAILABLE', 'this row is locked');
      return results.shift() as CommitResult;
    });
  }

  /** Resolves once this many commits have begun. */
  async committing(times: number): Promise<void> {
    while (this.commits.length < times) await new Promise<void>((resolve) => this.#watchers.push(resolve));
  }

  override async states(ids: readonly string[]): Promise<ReadonlyMap<string, RecordState>> {
    this.#assertThere();
    return super.states(ids);
  }

  #assertThere(): void {
    if (!this.away) return;
    this.failures += 1;
    for (const watcher of this.#watchers.splice(0)) watcher();
    throw new LovageError('LOVAGE_RESULTS_UNAVAILABLE', 'the database is away');
  }
}
