export function median(numbers: readonly number[]): number {
  return quantile(numbers, 0.5);
}

/** The smallest of `numbers` that a share `q` of them, 0 to 1, does not exceed; NaN of none. */
export function quantile(numbers: readonly number[], q: number): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * q) - 1)] ?? NaN;
}

/** The median of the rounds' own ratios: what disturbed a round disturbed both sides of it. */
export function ratio(a: readonly number[], b: readonly number[]): number {
  return median(a.map((value, index) => value / (b[index] ?? NaN)));
}

/** Eight characters wide; a dash where nothing could be measured. */
export function format(value: number, digits = 0): string {
  const fixed = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return (Number.isFinite(value) ? value.toLocaleString('en', fixed) : '–').padStart(8);
}
