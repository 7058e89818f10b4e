import type { Row } from '../runner/figures.js';
import { cellsOf, COLUMNS, goalsLine, machineLines, type Report } from './report.js';

/** For a terminal: one block for each title. */
export function tableOf(rows: readonly Row[]): string {
  const cells = rows.map(cellsOf);
  const widths = COLUMNS.map((column, index) =>
    Math.max(column.length, ...cells.map((row) => row[index]?.length ?? 0)),
  );
  const line = (row: readonly string[]): string =>
    `  ${row.map((cell, index) => (isNumber(index) ? cell.padStart(widths[index] ?? 0) : cell.padEnd(widths[index] ?? 0))).join('  ')}`.trimEnd();
  return [line(COLUMNS), ...cells.map(line)].join('\n');
}

/** The whole of a run as a page. */
export function markdownOf(report: Report): string {
  const titles = [...new Set(report.rows.map(placeOf))];
  const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [
    ...[...machineLines(report), ...goalsLine(report)].map((line) => `- ${line}`),
    '',
    ...titles.flatMap((title) => [
      `## ${title}`,
      '',
      row(COLUMNS),
      row(COLUMNS.map((_, index) => (isNumber(index) ? '--:' : '---'))),
      ...report.rows.filter((one) => placeOf(one) === title).map((one) => row(cellsOf(one))),
      '',
    ]),
    ...report.skipped.map((reason) => `- skipped: ${reason}`),
    '',
  ].join('\n');
}

function placeOf(row: Row): string {
  return `${row.case}: ${row.title}`;
}

function isNumber(column: number): boolean {
  return [2, 4, 5, 6].includes(column);
}
