import type { FaultPoint } from './fault-point.js';
import type { KillRun } from './kill-run.js';
import type { Storm } from './storm-run.js';

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

/** What many storms came to. */
export function stormReport(storms: readonly Storm[]): string {
  const strikes = storms.flatMap((storm) => storm.strikes);
  const names = [...new Set(strikes.map(({ name }) => name))].sort();
  const rows = names.map((name) => {
    const own = strikes.filter((strike) => strike.name === name);
    const longest = (of: readonly number[]): string => (Math.max(...of) / 1_000).toFixed(1);
    return [
      name,
      own.length,
      longest(own.map((one) => one.lastedMs)),
      longest(own.map((one) => one.recoveryMs)),
    ] as const;
  });
  const total = (of: (storm: Storm) => number): number => storms.reduce((sum, storm) => sum + of(storm), 0);
  const most = (of: (storm: Storm) => number): number => Math.round(Math.max(...storms.map(of)));
  return [
    table(['disturbance', 'times', 'lasted s', 's to consume again'], rows),
    '',
    table(
      ['storms', 'tasks', 'calls made again', 'executions', 'again in flight', 'again published', 'violations'],
      [
        [
          storms.length,
          total(({ tasks }) => tasks),
          total(({ failedCalls }) => failedCalls),
          total(({ executions }) => executions),
          total(({ inFlight }) => inFlight),
          total(({ published }) => published),
          total(({ violations }) => violations.length),
        ],
      ],
    ),
    '',
    table(
      ['a worker at rest', 'RSS MB', 'heap MB', 'open handles'],
      [
        ['before', ...footprint(most, (storm) => storm.before)],
        ['after', ...footprint(most, (storm) => storm.after)],
      ],
    ),
  ].join('\n');
}

function footprint(
  most: (of: (storm: Storm) => number) => number,
  of: (storm: Storm) => Storm['before'],
): readonly number[] {
  return [most((storm) => of(storm).rssMb), most((storm) => of(storm).heapMb), most((storm) => of(storm).handles)];
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
