import type { Call } from './load.js';
import type { Scene } from './scene.js';

/** From the moment that something was struck until all was well again, in milliseconds since 1970. */
export interface Window {
  readonly from: number;
  readonly to: number;
}

/** What ran. */
export interface Executions {
  readonly executions: number;
  /** Executions beyond one for each attempt: of what was in flight at a disturbance. */
  readonly inFlight: number;
  /** The others: of messages that were being published at one. */
  readonly published: number;
  readonly violations: readonly string[];
}

/** How long a copy may have waited for its slot since its record was looked up. */
const LOOKED_UP_MS = 3_000;

interface Span {
  readonly from: number;
  readonly to: number;
}

/** Every attempt ran; again only if it was in flight, or its message was being published, while something was wrong, and not once its end was committed. */
export async function checkExecutions(
  scene: Scene,
  { calls, windows }: { readonly calls: readonly Call[]; readonly windows: readonly Window[] },
): Promise<Executions> {
  const violations: string[] = [];
  const starts = await startsOf(scene);
  const publishings = await publishingsOf(scene, calls);
  const ends = await endsOf(scene);
  const isStruck = ({ from, to }: Span): boolean => windows.some((window) => from <= window.to && to >= window.from);
  let executions = 0;
  let inFlight = 0;
  let published = 0;
  for (const [key, times] of starts) {
    executions += times.length;
    for (let again = 1; again < times.length; again++) {
      const span = { from: times[again - 1] as number, to: times[again] as number };
      const lateMs = span.to - (ends.get(key) ?? Infinity);
      if (lateMs > LOOKED_UP_MS) violations.push(`${key} ran again ${lateMs} ms after its end was committed`);
      if (isStruck(span)) inFlight += 1;
      else if ((publishings.get(key) ?? []).some(isStruck)) published += 1;
      else
        violations.push(`${key} ran again after ${span.to - span.from} ms, though nothing was wrong: ${times.join()}`);
    }
  }
  for (const { expected } of calls)
    for (const attempt of expected.runs)
      if (!starts.has(`${expected.id} ${attempt}`))
        violations.push(`${expected.kind} ${expected.id}: attempt ${attempt} never ran`);
  return { executions, inFlight, published, violations };
}

async function startsOf({ ledger }: Scene): Promise<ReadonlyMap<string, readonly number[]>> {
  const { rows } = await ledger.query<{ key: string; at: Date }>(
    `SELECT task_id || ' ' || attempt AS key, at FROM ledger ORDER BY n`,
  );
  const starts = new Map<string, number[]>();
  for (const { key, at } of rows) starts.set(key, [...(starts.get(key) ?? []), at.getTime()]);
  return starts;
}

/** When each message was on its way to the broker: from the first try of a call, or from its row, until it was confirmed. */
async function publishingsOf({ db }: Scene, calls: readonly Call[]): Promise<ReadonlyMap<string, readonly Span[]>> {
  const spans = new Map<string, Span[]>();
  for (const { expected, from, to } of calls) spans.set(`${expected.id} 0`, [{ from, to }]);
  const { rows } = await db.query<{ key: string; caused: Date; removed: Date | null }>(
    `SELECT task_id || ' ' || attempt AS key, min(c.at) AS caused, max(r.at) AS removed
     FROM caused c LEFT JOIN removed r USING (task_id, attempt) GROUP BY task_id, attempt`,
  );
  for (const { key, caused, removed } of rows) {
    const span = { from: caused.getTime(), to: removed?.getTime() ?? Infinity };
    spans.set(key, [...(spans.get(key) ?? []), span]);
  }
  return spans;
}

/** When the end of each attempt was committed: with its final record, or with the row of the next one. */
async function endsOf({ db }: Scene): Promise<ReadonlyMap<string, number>> {
  const { rows } = await db.query<{ key: string; at: Date }>(
    `SELECT id || ' ' || attempt AS key, finished_at AS at FROM task_results WHERE finished_at IS NOT NULL
     UNION ALL SELECT task_id || ' ' || (attempt - 1), at FROM caused WHERE attempt > 0`,
  );
  return new Map(rows.map(({ key, at }) => [key, at.getTime()]));
}
