import type { FaultPoint } from './fault-point.js';
import type { KillRun } from './kill-run.js';

/** What many runs came to, for people; `points`: where their workers may have died. */
export function killReport(runs: readonly KillRun[], points: readonly FaultPoint[]): string {
  const kills = runs.flatMap((run) => run.kills);
  const missed = runs.flatMap((run) => run.missed);
  const total = (of: (run: KillRun) => number): number => runs.reduce((sum, run) => sum + of(run), 0);
  const count = <T>(list: readonly T[], one: T): number => list.filter((other) => other === one).length;
  const rows = points.map((point) => [point, count(kills, point), count(missed, point)] as const);
  return [
    table(['fault point', 'kills', 'not reached'], rows),
    '',
    table(
      ['runs', 'kills', 'tasks', 'executions', 'extra', 'outbox rows', 'left behind', 'violations'],
      [
        [
          runs.length,
          kills.length,
          total((run) => run.tasks),
          total((run) => run.executions),
          total((run) => run.extra),
          total((run) => run.caused),
          total((run) => run.leftBehind),
          total((run) => run.violations.length),
        ],
      ],
    ),
  ].join('\n');
}

export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const cells = [head, ...rows].map((row) => row.map(String));
  const widths = head.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  ');
  const [first = [], ...others] = cells;
  return [line(first), widths.map((width) => '-'.repeat(width)).join('  '), ...others.map(line)].join('\n');
}
