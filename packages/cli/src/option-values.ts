import { LovageError, expected, parseDelay, parseDuration } from '@lovage/core';

/** A flag's duration, in milliseconds; undefined if it was not given. LOVAGE_USAGE unless it is one. */
export function durationOption(text: string | undefined, name: string): number | undefined {
  return text === undefined ? undefined : parseDuration(durationValue(text), name);
}

/** A flag's instant: an ISO time, or a duration from now. LOVAGE_USAGE unless it is one of them. */
export function instantOption(text: string, name: string): Date {
  if (/^\d{4}-\d{2}-\d{2}/.test(text)) {
    const instant = new Date(text);
    if (!Number.isNaN(instant.getTime())) return instant;
    throw new LovageError('LOVAGE_USAGE', expected(name, "an ISO time or a duration such as '5m'", text));
  }
  return new Date(Date.now() + parseDuration(durationValue(text), name));
}

const ISO_INSTANT = /^(\d{4}-\d{2}-\d{2})T\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:\d{2})$/;

/** The value of `--eta`: a date that there is, with a time and its zone, so that it is the same instant on every machine. LOVAGE_USAGE else. */
export function etaOption(text: string): Date {
  const instant = new Date(text);
  const [, day] = ISO_INSTANT.exec(text) ?? [];
  // Date takes 30 February for 2 March.
  const isDay = day !== undefined && new Date(`${day}T00:00:00Z`).toJSON()?.startsWith(day) === true;
  if (isDay && !Number.isNaN(instant.getTime())) return instant;
  throw new LovageError(
    'LOVAGE_USAGE',
    expected('--eta', 'an ISO time with its zone, such as 2026-11-24T10:00:00Z', text),
  );
}

/** The value of `--countdown`, in milliseconds; undefined if it was not given. LOVAGE_USAGE unless it is a delay. */
export function countdownOption(text: string | undefined): number | undefined {
  return text === undefined ? undefined : parseDelay(durationValue(text), '--countdown');
}

/** A flag's whole number, from 1; undefined if it was not given. LOVAGE_USAGE unless it is one. */
export function countOption(text: string | undefined, name: string): number | undefined {
  if (text === undefined) return undefined;
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new LovageError('LOVAGE_USAGE', expected(name, 'an integer ≥ 1', text));
}

const UNITS: Readonly<Record<string, number>> = { K: 1e3, M: 1e6, G: 1e9, KI: 2 ** 10, MI: 2 ** 20, GI: 2 ** 30 };

/** A flag's size, in bytes; undefined if it was not given. LOVAGE_USAGE unless it is one. Its unit is never left out: Celery counts in KiB, others in bytes. */
export function sizeOption(text: string | undefined, name: string): number | undefined {
  if (text === undefined) return undefined;
  const [, amount, unit = ''] = /^(\d{1,6}(?:\.\d{1,3})?)([KMG]i?)B?$/i.exec(text) ?? [];
  const bytes = Number(amount) * (UNITS[unit.toUpperCase()] ?? NaN);
  if (bytes > 0) return Math.round(bytes);
  throw new LovageError('LOVAGE_USAGE', expected(name, "a size with its unit, such as '400MB' or '512MiB'", text));
}

/** The value of `--priority`. LOVAGE_USAGE unless it is 0 to 255. */
export function priorityOption(text: string): number {
  if (/^\d{1,3}$/.test(text) && Number(text) <= 255) return Number(text);
  throw new LovageError('LOVAGE_USAGE', expected('--priority', 'an integer from 0 to 255', text));
}

/** A flag's value, if it is one of those allowed, in any case. LOVAGE_USAGE else. */
export function choiceOption<T extends string>(text: string, choices: readonly T[], name: string): T {
  const choice = choices.find((one) => one === text.toLowerCase());
  if (choice !== undefined) return choice;
  throw new LovageError('LOVAGE_USAGE', expected(name, `one of ${choices.join(', ')}`, text));
}

/** A flag's names, given as `a,b`; undefined if it was not given. LOVAGE_USAGE if there is none in it. */
export function namesOption(text: string | undefined, name: string): readonly string[] | undefined {
  if (text === undefined) return undefined;
  const names = text.split(',').map((one) => one.trim());
  if (names.every((one) => one !== '')) return [...new Set(names)];
  throw new LovageError('LOVAGE_USAGE', expected(name, 'names with commas between them', text));
}

/** Digits alone are milliseconds. */
function durationValue(text: string): string | number {
  return /^\d+$/.test(text) ? Number(text) : text;
}
