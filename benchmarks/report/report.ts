import type { Row } from '../runner/figures.js';
import type { Machine } from './machine.js';

/** All that a run has found. */
export interface Report {
  readonly command: string;
  readonly machine: Machine;
  readonly rounds: number;
  readonly rows: readonly Row[];
  readonly skipped: readonly string[];
}

/** The columns of tables, as texts. */
export const COLUMNS = ['figure', 'subject', 'value', 'beside', 'its value', 'ratio', 'rounds', 'goal'] as const;

export function cellsOf({
  figure,
  unit,
  subject,
  value,
  beside,
  besideValue,
  ratio,
  spread,
  ...row
}: Row): readonly string[] {
  return [
    figure,
    subject,
    `${number(value)} ${unit}`.replace(' /s', '/s'),
    beside ?? '',
    beside === null ? '' : `${number(besideValue)} ${unit}`.replace(' /s', '/s'),
    beside === null ? '' : fixed(ratio),
    spread === null ? '' : `${fixed(spread[0])}–${fixed(spread[1])}`,
    goalOf(row),
  ];
}

export function machineLines({ machine, command, rounds }: Report): readonly string[] {
  const versions = Object.entries(machine.versions).map(([name, version]) => `${name} ${version}`);
  return [
    `${machine.date}, ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGb} GB, ${machine.system}`,
    versions.join(', '),
    `${command}: ${rounds === 1 ? 'one round' : `medians of ${rounds} rounds`}; ratio: the median of the rounds' own ratios`,
  ];
}

/** How many goals were reached; nothing where no figure has one. */
export function goalsLine({ rows }: Report): readonly string[] {
  const reached = rows.flatMap((row) => row.reached ?? []);
  const unknown = rows.filter((row) => row.goal !== null && row.reached === null).length;
  if (reached.length + unknown === 0) return [];
  const all = `${reached.filter(Boolean).length} of ${reached.length + unknown} goals reached`;
  return [unknown === 0 ? all : `${all}, ${unknown} not measured`];
}

function goalOf({ goal, reached }: Pick<Row, 'goal' | 'reached'>): string {
  if (goal === null) return '';
  const wanted = 'atLeast' in goal ? `≥ ${goal.atLeast}` : `≤ ${goal.atMost}`;
  return `${wanted} ${reached === null ? 'not measured' : reached ? 'reached' : 'MISSED'}`;
}

function number(value: number | null): string {
  if (value === null) return '–';
  const digits = Math.abs(value) < 10 ? 2 : Math.abs(value) < 100 ? 1 : 0;
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function fixed(value: number | null): string {
  return value === null ? '–' : value.toFixed(2);
}
