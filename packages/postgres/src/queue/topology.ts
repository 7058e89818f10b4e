import { LovageError, type QueueSpec, deadQueueOf, lostQueueOf, mainQueueOf } from '@lovage/core';
import type { Database } from '../database/database.js';
import type { QueueStatements } from './statements.js';

/** The queues that exist, as rows. */
export class Topology {
  readonly #database: Database;
  readonly #statements: Pick<QueueStatements, 'declare' | 'queues'>;
  /** What was found to be so. */
  readonly #known = new Map<string, QueueSpec>();

  constructor(database: Database, statements: Pick<QueueStatements, 'declare' | 'queues'>) {
    this.#database = database;
    this.#statements = statements;
  }

  /** As `Transport.declare`. */
  async declare(specs: readonly QueueSpec[]): Promise<void> {
    const unknown = specs.filter((spec) => !this.#isKnown(spec));
    if (unknown.length === 0) return;
    const existing = await this.#find(unknown.map(({ name }) => name));
    const problem = unknown.map((spec) => problemOf(spec, existing.get(spec.name))).find((one) => one !== null);
    if (problem !== undefined) throw problem;
    const rows = unknown.filter(({ declare }) => declare).flatMap(withSides);
    if (rows.length > 0) {
      const columns = [
        rows.map(({ name }) => name),
        rows.map(({ type }) => type),
        rows.map(({ maxPriority }) => maxPriority),
      ];
      await this.#database.run(this.#statements.declare, columns);
    }
    // Somebody may have been faster, with other arguments.
    const found = await this.#find(unknown.map(({ name }) => name));
    for (const spec of unknown) {
      const late = problemOf(spec, found.get(spec.name));
      if (late !== null) throw late;
      this.#known.set(spec.name, spec);
    }
  }

  /** A publish to them has found nothing there. */
  forget(queues: Iterable<string>): void {
    for (const queue of queues) for (const name of [queue, mainQueueOf(queue)]) this.#known.delete(name);
  }

  #isKnown(spec: QueueSpec): boolean {
    const known = this.#known.get(spec.name);
    return known !== undefined && (!spec.declare || isAlike(known, spec));
  }

  async #find(names: readonly string[]): Promise<ReadonlyMap<string, Pick<QueueSpec, 'type' | 'maxPriority'>>> {
    const rows = await this.#database.run(this.#statements.queues, [names]);
    return new Map(
      rows.map(({ name, type, max_priority: maxPriority }) => [
        name ?? '',
        { type: type as QueueSpec['type'], maxPriority: maxPriority == null ? null : Number(maxPriority) },
      ]),
    );
  }
}

function withSides(spec: QueueSpec): readonly QueueSpec[] {
  const side = (name: string): QueueSpec => ({ ...spec, name, maxPriority: null });
  const lost = spec.type === 'quorum' ? [side(lostQueueOf(spec.name))] : [];
  return [spec, side(deadQueueOf(spec.name)), ...lost];
}

function problemOf(spec: QueueSpec, found: Pick<QueueSpec, 'type' | 'maxPriority'> | undefined): LovageError | null {
  if (found === undefined)
    return spec.declare ? null : new LovageError('LOVAGE_UNROUTABLE', `there is no queue '${spec.name}'`);
  if (!spec.declare || isAlike(found, spec)) return null;
  return new LovageError(
    'LOVAGE_QUEUE_MISMATCH',
    `expected the queue '${spec.name}' to be ${textOf(spec)}, but it exists as ${textOf(found)}: configure it as it is in \`queues\`, or use another name`,
  );
}

function isAlike(a: Pick<QueueSpec, 'type' | 'maxPriority'>, b: Pick<QueueSpec, 'type' | 'maxPriority'>): boolean {
  return a.type === b.type && a.maxPriority === b.maxPriority;
}

function textOf({ type, maxPriority }: Pick<QueueSpec, 'type' | 'maxPriority'>): string {
  return `${type} ${maxPriority === null ? 'without priorities' : `with maxPriority ${maxPriority}`}`;
}
