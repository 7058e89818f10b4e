import type { PartitionPeriod } from '@lovage/core';

const DAY_MS = 86_400_000;

/** When the period began that an instant is in, by UTC. */
export function startOf(period: PartitionPeriod, at: number): number {
  const date = new Date(at);
  const day = Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate());
  if (period === 'day') return day;
  if (period === 'week') return day - ((date.getUTCDay() + 6) % 7) * DAY_MS;
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), 1);
}

/** When the period ends that begins at `start`. */
export function endOf(period: PartitionPeriod, start: number): number {
  if (period === 'day') return start + DAY_MS;
  if (period === 'week') return start + 7 * DAY_MS;
  const date = new Date(start);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1);
}

/** The period that spans so long a time. */
export function periodOf({ from, to }: { readonly from: number; readonly to: number }): PartitionPeriod {
  const days = (to - from) / DAY_MS;
  return days === 1 ? 'day' : days === 7 ? 'week' : 'month';
}

/** How the UUIDv7s of an instant begin. As bytes, it comes before all that are made then or later, and after all that were made before. */
export function idPrefixAt(at: number): string {
  const hex = at.toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}`;
}

/** The instant of a prefix that `idPrefixAt` made. */
export function instantOf(idPrefix: string): number {
  return Number.parseInt(idPrefix.replace('-', ''), 16);
}
