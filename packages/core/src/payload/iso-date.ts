const ISO =
  /^(\d{4}|[+-]\d{6})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?\s?([Zz]|[+-]\d\d(?::?\d\d)?)?)?$/;

/**
 * Reads an ISO 8601 date or instant as Python and JavaScript write them: any number of fraction digits up to nine (cut to
 * milliseconds), an offset or none. Without an offset it is UTC, whatever the machine's zone. null: not such a text, or no such day.
 */
export function parseIsoDate(text: string): Date | null {
  const match = ISO.exec(text);
  if (match === null) return null;
  const [, year, month, day, hour = '0', minute = '0', second = '0', fraction = '', zone = 'Z'] = match;
  const date = new Date(0);
  // Not Date.UTC, which reads the years 0 to 99 as 1900 to 1999.
  date.setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  if (date.getUTCMonth() !== Number(month) - 1 || date.getUTCDate() !== Number(day)) return null;
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) return null;
  date.setUTCHours(Number(hour), Number(minute), Number(second), Number(fraction.slice(0, 3).padEnd(3, '0')));
  date.setTime(date.getTime() - offsetMinutes(zone) * 60_000);
  return Number.isNaN(date.getTime()) ? null : date;
}

/** An instant as ISO 8601 with milliseconds and `+00:00`, never `Z`, which Python reads only from 3.11 on. The date must be valid. */
export function isoText(date: Date): string {
  return `${date.toISOString().slice(0, -1)}+00:00`;
}

function offsetMinutes(zone: string): number {
  if (zone === 'Z' || zone === 'z') return 0;
  const digits = zone.slice(1).replace(':', '');
  const minutes = Number(digits.slice(0, 2)) * 60 + Number(digits.slice(2, 4));
  return zone.startsWith('-') ? -minutes : minutes;
}
