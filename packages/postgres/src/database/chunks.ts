const MAX_ROWS = 500;
const MAX_BYTES = 8 * 2 ** 20;

/** The statements that so many rows need: at most 500 rows and 8 MB each. A larger row travels alone. */
export function chunksOf<T>(rows: readonly T[], sizeOf: (row: T) => number): readonly (readonly T[])[] {
  const result: T[][] = [];
  let bytes = Infinity;
  for (const row of rows) {
    const size = sizeOf(row);
    const last = result.at(-1);
    if (last === undefined || last.length === MAX_ROWS || bytes + size > MAX_BYTES) {
      result.push([row]);
      bytes = size;
    } else {
      last.push(row);
      bytes += size;
    }
  }
  return result;
}
