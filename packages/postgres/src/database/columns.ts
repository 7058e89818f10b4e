import { arrayLiteral } from './array-literal.js';

/** What a statement is told of each of its rows: name, type and value of every column. */
export type Columns<T> = readonly (readonly [
  name: string,
  type: 'text' | 'int' | 'float8' | 'uuid',
  valueOf: (row: T) => string | number | null,
])[];

/**
 * The rows in SQL, as a table of that alias: one parameter a column, from $`first` on. Each parameter is text to whatever sends it, as a
 * user's client may not know how to send an array.
 */
export function rowsOf<T>(columns: Columns<T>, first: number, alias: string): string {
  const parameters = columns.map(([, type], index) => `$${first + index}::text::${type}[]`);
  return `unnest(${parameters.join(', ')}) AS ${alias} (${columns.map(([name]) => name).join(', ')})`;
}

/** The parameters for `rowsOf`. */
export function columnsOf<T>(columns: Columns<T>, rows: readonly T[]): readonly string[] {
  return columns.map(([, , valueOf]) => arrayLiteral(rows.map(valueOf)));
}
