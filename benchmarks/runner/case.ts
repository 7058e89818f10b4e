import type { Ground } from './ground.js';

/** A whole number, or several of them: `--payloads 100,10000`. */
export type OptionValue = number | readonly number[];

export interface CaseOption {
  readonly full: OptionValue;
  /** With --small: shows that it runs, not how fast. */
  readonly small: OptionValue;
  readonly doc: string;
}

/** Something to measure, a module of cases/. */
export interface Case<O extends Readonly<Record<string, CaseOption>> = Readonly<Record<string, CaseOption>>> {
  readonly name: string;
  readonly measures: string;
  readonly options: O;
  /** What is prepared before a comparison is given away is ready for it; what follows cleans up. */
  comparisons(ground: Ground, options: Values<O>): AsyncGenerator<Comparison, void, void>;
}

export type Values<O> = {
  readonly [K in keyof O]: O[K] extends { readonly full: number } ? number : readonly number[];
};

/** Turns that are taken one after the other, again in each round, and the figures that come of them. */
export interface Comparison {
  readonly title: string;
  readonly turns: readonly Turn[];
  readonly figures: readonly Figure[];
  /** Rounds, if not as many as the command line says. */
  readonly rounds?: number;
}

export interface Turn {
  readonly name: string;
  take(): Promise<Readings>;
}

/** What one turn has measured, by name. */
export type Readings = Readonly<Record<string, number>>;

/** The readings of one round, by the names of its turns. */
export type Round = Readonly<Record<string, Readings>>;

/** One value a round. NaN: it was not measured. */
export interface Series {
  /** As the report names it. */
  readonly name: string;
  readonly turn: string;
  of(round: Round): number;
}

export type Unit = '/s' | 'ms' | 's' | 'µs' | 'B' | 'MB' | 'tasks';

export interface Figure {
  readonly figure: string;
  readonly unit: Unit;
  readonly of: Series;
  /** What it is divided by, round by round. */
  readonly beside?: Series;
  /** Of the ratio; of the value where there is nothing beside it. */
  readonly goal?: Goal;
}

export type Goal = { readonly atLeast: number } | { readonly atMost: number };

/** The cases of one suite have options of many shapes: each reads its own. */
export function defineCase<const O extends Readonly<Record<string, CaseOption>>>(definition: Case<O>): Case {
  return definition;
}

/** A reading of a turn as a series. */
export function reading(turn: string, key: string, name: string = turn): Series {
  return { name, turn, of: (round) => round[turn]?.[key] ?? NaN };
}
