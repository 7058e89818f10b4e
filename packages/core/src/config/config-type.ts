import { expected } from '../errors/lovage-error.js';
import { parseDuration } from '../runtime/duration.js';
import { maskUrl } from '../runtime/mask-url.js';

/** How the values of a key are read: from the type itself, or from the text of an environment variable. */
export interface ConfigType<T> {
  /** Completes `expected <key> to be …`, and says in the docs what the key takes. */
  readonly expectation: string;
  /** The value as Settings hold it. What is wrong is added to `problems`; the value returned does not matter then. */
  read(value: unknown, what: string, problems: string[]): T | undefined;
}

/** A type whose values need one look: `parse` returns undefined for a bad one. */
export function configType<T>(expectation: string, parse: (value: unknown) => T | undefined): ConfigType<T> {
  return {
    expectation,
    read(value, what, problems) {
      const parsed = parse(value);
      if (parsed === undefined) problems.push(expected(what, expectation, shown(value)));
      return parsed;
    },
  };
}

export function nullable<T>(type: ConfigType<T>): ConfigType<T | null> {
  return { ...type, read: (value, what, problems) => (value === null ? null : type.read(value, what, problems)) };
}

export function integer(range: { readonly min: number; readonly max: number }): ConfigType<number> {
  return configType(`an integer from ${grouped(range.min)} to ${grouped(range.max)}`, (value) => {
    const number = typeof value === 'string' && /^\s*\d+\s*$/.test(value) ? Number(value) : value;
    const fits = Number.isInteger(number) && (number as number) >= range.min && (number as number) <= range.max;
    return fits ? (number as number) : undefined;
  });
}

const BOOLEANS = new Map<unknown, boolean>([
  [true, true],
  ['true', true],
  ['1', true],
  [false, false],
  ['false', false],
  ['0', false],
]);

export const boolean: ConfigType<boolean> = configType('true or false', (value) =>
  BOOLEANS.get(typeof value === 'string' ? value.trim().toLowerCase() : value),
);

/** A longer timer fires at once in Node. */
const LONGEST_TIMER = '24d';

/** In milliseconds. `min` and `max` are durations as users write them. */
export function duration(range: { readonly min: string; readonly max?: string }): ConfigType<number> {
  const max = range.max ?? LONGEST_TIMER;
  const [minMs, maxMs] = [parseDuration(range.min, 'min'), parseDuration(max, 'max')];
  return configType(`a duration from ${range.min} to ${max}: milliseconds or a string such as '30s'`, (value) => {
    const ms = durationOrNaN(value);
    return ms >= minMs && ms <= maxMs ? ms : undefined;
  });
}

function durationOrNaN(value: unknown): number {
  try {
    return parseDuration(value, 'value');
  } catch {
    return NaN;
  }
}

export function oneOf<const T extends string>(values: readonly T[]): ConfigType<T> {
  const expectation = values.map((value) => `'${value}'`).join(' or ');
  return configType(expectation, (value) => values.find((allowed) => allowed === value));
}

export const name: ConfigType<string> = configType('a name: 1 to 255 characters on one line', (value) =>
  typeof value === 'string' && /^[^\p{Cc}]{1,255}$/u.test(value) && value.trim() !== '' ? value : undefined,
);

/** 63 bytes is PostgreSQL's longest identifier; a longer one would be cut silently. */
export const schemaName: ConfigType<string> = configType(
  "the name of a PostgreSQL schema: 1 to 63 letters, digits and '_', not beginning with a digit or 'pg_'",
  (value) => (typeof value === 'string' && /^(?!pg_)[a-z_][a-z0-9_]{0,62}$/i.test(value) ? value : undefined),
);

/** Leaves room for `.lost` and `.dead` within AMQP's 255 bytes. */
const QUEUE_NAME_BYTES = 250;

export const queueName: ConfigType<string> = configType(
  `the name of a queue: 1 to ${QUEUE_NAME_BYTES} bytes without white space or commas, not beginning with 'amq.'`,
  (value) => (isQueueName(value) ? value : undefined),
);

export function isQueueName(value: unknown): value is string {
  if (typeof value !== 'string' || Buffer.byteLength(value) > QUEUE_NAME_BYTES) return false;
  return /^[^\s,\p{Cc}]+$/u.test(value) && !value.startsWith('amq.');
}

export const queueNames: ConfigType<readonly string[]> = configType(
  'a list of queue names, or their text separated by commas',
  (value) => {
    const names = typeof value === 'string' ? value.split(',').map((part) => part.trim()) : value;
    if (!Array.isArray(names) || names.length === 0 || !names.every(isQueueName)) return undefined;
    return Object.freeze([...new Set(names)]);
  },
);

/** Never shows the value: a key given in the place of its file's name must not reach a log. */
export const fileName: ConfigType<string> = {
  expectation: 'the name of a PEM file',
  read(value, what, problems) {
    if (typeof value === 'string' && value !== '' && !/[\n\r\0]/.test(value)) return value;
    const got = typeof value === 'string' ? (value === '' ? 'an empty text' : 'text of several lines') : typeof value;
    problems.push(`expected ${what} to be the name of a PEM file, got ${got}`);
    return undefined;
  },
};

/** An object that has these methods: a ready transport, backend or pool. Nothing of the environment is one. */
export function objectWith<T>(kind: string, methods: readonly string[]): ConfigType<T> {
  const expectation = `${kind}: an object with the methods ${methods.join(', ')}`;
  return configType(expectation, (value) => (hasMethods(value, methods) ? (value as T) : undefined));
}

export function hasMethods(value: unknown, methods: readonly string[]): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return methods.every((method) => typeof (value as Record<string, unknown>)[method] === 'function');
}

/** The values of a JSON object by key: an object, or its JSON text. `each` reads one value, and may complain about its key. */
export function recordOf<T>(
  expectation: string,
  each: (
    entry: { readonly key: string; readonly value: unknown; readonly what: string },
    problems: string[],
  ) => T | undefined,
): ConfigType<Readonly<Record<string, T>>> {
  return {
    expectation,
    read(value, what, problems) {
      const record = typeof value === 'string' ? jsonOrUndefined(value) : value;
      if (!isRecord(record)) {
        problems.push(expected(what, expectation, shown(value)));
        return undefined;
      }
      const entries = Object.entries(record)
        .filter(([, item]) => item !== undefined)
        .map(([key, item]) => [key, each({ key, value: item, what: `${what}['${key}']` }, problems)] as const);
      return Object.freeze(Object.fromEntries(entries)) as Readonly<Record<string, T>>;
    },
  };
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function jsonOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A URL may stand in the wrong key: its password must not be shown. */
function shown(value: unknown): unknown {
  return typeof value === 'string' && value.includes('://') ? maskUrl(value) : value;
}

function grouped(number: number): string {
  return number.toLocaleString('en-US');
}
