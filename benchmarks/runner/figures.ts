import type { Figure, Goal, Round, Unit } from './case.js';

/** A figure of all rounds. */
export interface Row {
  readonly case: string;
  readonly title: string;
  readonly figure: string;
  readonly unit: Unit;
  readonly subject: string;
  /** The median of the rounds; null: it was not measured. */
  readonly value: number | null;
  readonly beside: string | null;
  readonly besideValue: number | null;
  /** The median of the rounds' own ratios: what disturbed a round disturbed both sides of it. */
  readonly ratio: number | null;
  /** The smallest and the largest ratio of a round. */
  readonly spread: readonly [number, number] | null;
  readonly goal: Goal | null;
  readonly reached: boolean | null;
}

export interface RowPlace {
  readonly case: string;
  readonly title: string;
}

export function rowOf({ figure, unit, of, beside, goal }: Figure, rounds: readonly Round[], place: RowPlace): Row {
  const ratios = beside === undefined ? [] : rounds.map((round) => of.of(round) / beside.of(round));
  const value = median(rounds.map((round) => of.of(round)));
  const ratio = median(ratios);
  const measured = ratios.filter(Number.isFinite);
  return {
    ...place,
    figure,
    unit,
    subject: of.name,
    value: finite(value),
    beside: beside?.name ?? null,
    besideValue: beside === undefined ? null : finite(median(rounds.map((round) => beside.of(round)))),
    ratio: finite(ratio),
    spread: measured.length === 0 ? null : [Math.min(...measured), Math.max(...measured)],
    goal: goal ?? null,
    reached: goal === undefined ? null : reaches(beside === undefined ? value : ratio, goal),
  };
}

export function median(numbers: readonly number[]): number {
  return quantile(numbers, 0.5);
}

/** The smallest of `numbers` that a share `q` of them, 0 to 1, does not exceed; NaN of none. */
export function quantile(numbers: readonly number[], q: number): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * q) - 1)] ?? NaN;
}

function reaches(value: number, goal: Goal): boolean | null {
  if (!Number.isFinite(value)) return null;
  return 'atLeast' in goal ? value >= goal.atLeast : value <= goal.atMost;
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
