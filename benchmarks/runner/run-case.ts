import { migrate } from '../subjects/lovage.js';
import { withScratchDatabase } from '../support/scratch-database.js';
import type { Case, Comparison, Readings, Round } from './case.js';
import { type Row, rowOf } from './figures.js';
import type { Ground } from './ground.js';
import { optionsOf, type SuiteOptions } from './options.js';

export interface Servers extends Omit<Ground, 'database'> {
  /** Of the peers' servers that this run has used. */
  versions(): Readonly<Record<string, string>>;
}

export interface CaseRun {
  readonly servers: Servers;
  readonly options: SuiteOptions;
  /** Told what is measured next, and each figure as soon as it is there. */
  readonly onTurn: (what: string) => void;
  readonly onRows: (comparison: Comparison, rows: readonly Row[]) => void;
}

/** Runs a case in a database of its own, which is dropped however it ends. */
export async function runCase(one: Case, { servers, options, onTurn, onRows }: CaseRun): Promise<void> {
  await withScratchDatabase(servers.results, async ({ url, client }) => {
    await migrate(url);
    const ground: Ground = { ...servers, results: url, database: client };
    for await (const comparison of one.comparisons(ground, optionsOf(one, options))) {
      const total = comparison.rounds ?? options.rounds;
      const rounds: Round[] = [];
      for (let round = 1; round <= total; round++) {
        const readings: [string, Readings][] = [];
        for (const turn of comparison.turns) {
          onTurn(`${one.name}, ${comparison.title}: round ${round} of ${total}, ${turn.name}`);
          readings.push([turn.name, await turn.take()]);
        }
        rounds.push(Object.fromEntries(readings));
      }
      const place = { case: one.name, title: comparison.title };
      onRows(
        comparison,
        comparison.figures.map((figure) => rowOf(figure, rounds, place)),
      );
    }
  });
}
