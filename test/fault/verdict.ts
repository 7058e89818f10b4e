import type { Scene } from './scene.js';
import type { Expected } from './wave.js';

export const FINAL: ReadonlySet<string> = new Set(['SUCCESS', 'FAILURE', 'REVOKED']);

interface Row {
  readonly id: string;
  readonly state: string;
  readonly attempt: number;
  readonly retries: number;
  readonly ends: number;
  readonly error: string | null;
  readonly finished: boolean;
}

/**
 * Every task has exactly one record, in its right final state, with the right number of retries.
 * @param strays so many calls failed that may have arrived all the same, under ids that nobody knows
 */
export async function wrongRecords(
  { db }: Scene,
  expected: readonly Expected[],
  strays = 0,
): Promise<readonly string[]> {
  const violations: string[] = [];
  const { rows } = await db.query<Row>(
    `SELECT id, state, attempt, retries, coalesce(jsonb_array_length(history), 0) AS ends, error->>'message' AS error, finished_at IS NOT NULL AS finished FROM task_results`,
  );
  const records = new Map(rows.map((row) => [row.id, row]));
  for (const { id, kind, states, attempt, retries, requeue } of expected) {
    const record = records.get(id);
    records.delete(id);
    const isRight =
      record === undefined
        ? states.length === 0
        : states.includes(record.state) &&
          record.finished &&
          (attempt === null || record.attempt === attempt) &&
          record.retries === retries &&
          record.ends === (requeue ? 1 : 0);
    if (!isRight)
      violations.push(
        `${kind} ${id}: expected ${states.join(' or ') || 'no record'}, attempt ${attempt}, retries ${retries}, got ${JSON.stringify(record)}`,
      );
  }
  const unknown = [...records.values()];
  const isExplained =
    unknown.length <= strays && unknown.every(({ state, finished }) => state === 'SUCCESS' && finished);
  if (isExplained) return violations;
  return [...violations, ...unknown.map((record) => `a record that nobody caused: ${JSON.stringify(record)}`)];
}

/** Every row of the outbox was caused once. */
export async function wrongCauses({ db }: Scene, expected: readonly Expected[]): Promise<readonly string[]> {
  const violations: string[] = [];
  const { rows } = await db.query<{ task_id: string; attempt: number; rows: number }>(
    'SELECT task_id, attempt, count(*)::int AS rows FROM caused GROUP BY task_id, attempt',
  );
  const attempts = new Map<string, number[]>();
  for (const { task_id, attempt, rows: count } of rows) {
    if (count > 1) violations.push(`attempt ${attempt} of ${task_id} was caused ${count} times`);
    attempts.set(task_id, [...(attempts.get(task_id) ?? []), attempt]);
  }
  for (const { id, kind, caused } of expected) {
    if (caused === null) continue;
    const found = (attempts.get(id) ?? []).sort((a, b) => a - b);
    if (found.join() !== caused.join())
      violations.push(`${kind} ${id}: expected rows for attempts ${caused.join()}, got ${found.join()}`);
  }
  return violations;
}

/** Nothing is left anywhere. */
export async function remains(scene: Scene, expected: readonly Expected[]): Promise<readonly string[]> {
  const violations: string[] = [];
  const [queue, lost, dead] = await scene.waiting();
  const left = { queue, lost, dead, outbox: await scene.count('FROM outbox') };
  if (Object.values(left).some((count) => count !== 0)) violations.push(`left behind: ${JSON.stringify(left)}`);
  const { rows } = await scene.db.query<{ task_id: string; scope: string; free: boolean }>(
    'SELECT task_id, scope, expires_at <= now() AS free FROM unique_keys',
  );
  const finished = expected.filter(({ kind }) => kind === 'unique-finished').map(({ id }) => id);
  for (const { task_id, scope } of rows)
    if (scope !== 'finished' || !finished.includes(task_id))
      violations.push(`a unique key of scope ${scope} that should be free is held by ${task_id}`);
  const holders = new Set(rows.map(({ task_id }) => task_id));
  for (const id of finished)
    if (!holders.has(id)) violations.push(`the unique key of ${id} should be held for an hour, and is free`);
  return violations;
}
