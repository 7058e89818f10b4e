const UNITS_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000 };

/** How often a task may start, such as '10/s', '90/m' or '0.5/h'. */
export type RateLimit = `${number}/${'s' | 'm' | 'h'}`;

/** What is wrong with an option `rateLimit`, as in "expected rateLimit to be …"; null: nothing. */
export function rateLimitProblem(value: unknown): string | null {
  return Number.isFinite(intervalOf(value))
    ? null
    : "a number of starts a second, minute or hour, such as '10/s', '90/m' or '5/h'";
}

/**
 * The time between two starts, in milliseconds.
 *
 * @param limit checked by `rateLimitProblem`.
 */
export function startIntervalOf(limit: RateLimit): number {
  return intervalOf(limit);
}

function intervalOf(value: unknown): number {
  const [, count, unit] = (typeof value === 'string' && /^(\d+(?:\.\d+)?)\/([smh])$/.exec(value)) || [];
  return (UNITS_MS[unit ?? ''] ?? NaN) / Number(count);
}
