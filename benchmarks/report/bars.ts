import type { Row } from '../runner/figures.js';
import { machineLines, type Report } from './report.js';

const WIDTH = 960;
const LABELS = 520;
const ROW = 18;
const BAR = 11;
const HEAD = 70;
/** A ratio above it is drawn no longer. */
const MOST = 4;
const COLORS = { plain: '#4878a8', reached: '#3a923a', missed: '#c03d3e', goal: '#222', grid: '#ddd' };

/** A bar for each ratio, with its goal as a mark across it. */
export function barsOf(report: Report): string {
  const rows = report.rows.filter(({ ratio }) => ratio !== null);
  const height = HEAD + rows.length * ROW + 30;
  const x = (ratio: number): number => LABELS + (Math.min(ratio, MOST) / MOST) * (WIDTH - LABELS - 60);
  const ticks = Array.from({ length: MOST + 1 }, (_, tick) => tick);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="11">`,
    `<rect width="${WIDTH}" height="${height}" fill="white"/>`,
    ...machineLines(report).map((line, index) => text([10, 16 + index * 15], line)),
    ...ticks.map((tick) => line([x(tick), HEAD - 6], [x(tick), height - 20], tick === 1 ? '#888' : COLORS.grid)),
    ...ticks.map((tick) => text([x(tick), height - 6], String(tick), 'middle')),
    ...rows.flatMap((row, index) => barOf(row, HEAD + index * ROW, x)),
    '</svg>\n',
  ].join('\n');
}

function barOf(
  { figure, subject, beside, ratio, goal, reached }: Row,
  y: number,
  x: (ratio: number) => number,
): string[] {
  const value = ratio ?? 0;
  const color = reached === null ? COLORS.plain : reached ? COLORS.reached : COLORS.missed;
  const wanted = goal === null ? null : 'atLeast' in goal ? goal.atLeast : goal.atMost;
  return [
    text([LABELS - 8, y + BAR - 1], `${figure}: ${subject} ÷ ${beside}`, 'end'),
    `<rect x="${x(0)}" y="${y}" width="${(x(value) - x(0)).toFixed(1)}" height="${BAR}" fill="${color}"/>`,
    text([x(value) + 4, y + BAR - 1], value.toFixed(2)),
    ...(wanted === null ? [] : [line([x(wanted), y - 2], [x(wanted), y + BAR + 2], COLORS.goal)]),
  ];
}

type Point = readonly [x: number, y: number];

function text([x, y]: Point, content: string, anchor: 'start' | 'middle' | 'end' = 'start'): string {
  const escaped = content.replace(/&/g, '&amp;').replace(/</g, '&lt;');
  return `<text x="${x.toFixed(1)}" y="${y}" text-anchor="${anchor}">${escaped}</text>`;
}

function line([x1, y1]: Point, [x2, y2]: Point, color: string): string {
  return `<line x1="${x1.toFixed(1)}" y1="${y1}" x2="${x2.toFixed(1)}" y2="${y2}" stroke="${color}"/>`;
}
