import type { QueueVisitor } from '@lovage/core';
import type { Database } from '../database/database.js';
import { messageOf } from '../outbox/outbox-row.js';
import type { QueueStatements } from './statements.js';

export interface VisitQueue {
  readonly queue: string;
  readonly limit: number | null;
  readonly visitor: QueueVisitor;
  readonly statements: Pick<QueueStatements, 'ready' | 'show' | 'remove'>;
}

/** As `QueueInspector.visit`, of a queue that exists. Each row is locked while it is shown, in a transaction of its own: nobody else gets it, and what is removed is removed whatever comes after. */
export async function visitQueue(database: Database, options: VisitQueue): Promise<number> {
  const { queue, limit, statements } = options;
  const rows = await database.run(statements.ready, [queue, limit]);
  let shown = 0;
  for (const { id } of rows) if (await visitRow(database, id ?? '', options)) shown += 1;
  return shown;
}

/** False: it has gone meanwhile, or somebody has it. */
async function visitRow(database: Database, id: string, { queue, visitor, statements }: VisitQueue): Promise<boolean> {
  const thrown: unknown[] = [];
  const isShown = await database.transaction(async (run) => {
    const [row] = await run(statements.show, [id, queue]);
    if (row === undefined) return false;
    try {
      if ((await visitor(messageOf(row))) === 'remove') await run(statements.remove, [[id]]);
    } catch (error) {
      thrown.push(error);
    }
    return true;
  });
  if (thrown.length > 0) throw thrown[0];
  return isShown;
}
