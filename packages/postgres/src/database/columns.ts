import { arrayLiteral } from './array-literal.js';

/** What a statement is told of each of its rows: name, type and value of every column. */
export type Columns<T> = readonly (readonly [
  name: string,
  type: 'text' | 'int' | 'bigint' | 'float8' | 'uuid',
  valueOf: (row: T) => string | number | null,
])[];

/**
 * The rows in SQL, as a table of that alias: one parameter a column, from $`first` on. Each parameter is text to whatever sends it, as a
 * user's client may not know how to send an array. In a SELECT the server unnests row by row; in a FROM it would first write each column to a store of its own.
 */
export function rowsOf<T>(columns: Columns<T>, first: number, alias: string): string {
  const items = columns.map(([name, type], index) => `unnest($${first + index}::text::${type}[]) AS ${name}`);
  return `(SELECT ${items.join(', ')}) AS ${alias}`;
}

/** The parameters for `rowsOf`. The first column is null in no row: it says how many there are. */
export function columnsOf<T>(columns: Columns<T>, rows: readonly T[]): readonly string[] {
  return columns.map(([, , valueOf]) => {
    const values = rows.map(valueOf);
    // What is missing at the end of a column is null.
    return values.every((value) => value === null) ? '{}' : arrayLiteral(values);
  });
}
