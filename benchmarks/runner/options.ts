import { parseArgs } from 'node:util';
import type { Case, OptionValue, Values } from './case.js';

export interface SuiteOptions {
  readonly cases: readonly Case[];
  readonly rounds: number;
  readonly small: boolean;
  /** Install Debian's packages of peers that are missing. */
  readonly install: boolean;
  /** Files to write. */
  readonly json: string | undefined;
  readonly markdown: string | undefined;
  readonly svg: string | undefined;
  /** What the command line says of the cases' own options. */
  readonly values: Readonly<Record<string, OptionValue>>;
}

const ROUNDS = { full: 5, small: 1 };

/** Reads the command line. Throws an Error that says what is wrong with it. */
export function readOptions(args: readonly string[], known: readonly Case[]): SuiteOptions {
  const own = known.flatMap((one) => Object.keys(one.options));
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      help: { type: 'boolean', default: false },
      small: { type: 'boolean', default: false },
      install: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      json: { type: 'string' },
      markdown: { type: 'string' },
      svg: { type: 'string' },
      ...Object.fromEntries(own.map((name) => [name, { type: 'string' as const }])),
    },
  });
  const said = values as Readonly<Record<string, unknown>>;
  const cases = casesOf(positionals, known);
  const given = own.filter((name) => said[name] !== undefined);
  const unused = given.find((name) => !cases.some(({ options }) => Object.hasOwn(options, name)));
  if (unused !== undefined)
    throw new Error(
      `no case of this run has --${unused}: ${known
        .filter(({ options }) => Object.hasOwn(options, unused))
        .map(({ name }) => name)
        .join(', ')} has`,
    );
  return {
    cases,
    small: values.small,
    install: values.install,
    rounds: roundsOf(values),
    json: values.json,
    markdown: values.markdown,
    svg: values.svg,
    values: Object.fromEntries(given.map((name) => [name, valueOf(name, String(said[name]), known)])),
  };
}

/** What a case is to use: the command line's, else its own defaults. */
export function optionsOf({ options }: Case, { values, small }: SuiteOptions): Values<Case['options']> {
  return Object.fromEntries(
    Object.entries(options).map(([name, option]) => [name, values[name] ?? (small ? option.small : option.full)]),
  ) as Values<Case['options']>;
}

export function usageOf(known: readonly Case[]): string {
  return [
    'npm run bench [-- CASE… OPTIONS]',
    '',
    'Cases; none named: all but bar',
    ...known.map(({ name, measures }) => `  ${name.padEnd(12)} ${measures}`),
    '',
    'Options',
    ...[
      ['--rounds N', `rounds of A B A B (${ROUNDS.full})`],
      ['--small', 'every case once, in small: shows that it runs'],
      ['--json FILE', 'the figures, also --markdown FILE and --svg FILE'],
      ['--install', 'install the Debian packages that peers lack; as root'],
    ].map(([option, doc]) => `  ${String(option).padEnd(20)} ${doc}`),
    ...known.flatMap(({ name, options }) =>
      Object.entries(options).map(
        ([option, { full, doc }]) =>
          `  ${`--${option} ${Array.isArray(full) ? 'N,N…' : 'N'}`.padEnd(20)} ${name}: ${doc} (${String(full)})`,
      ),
    ),
  ].join('\n');
}

function roundsOf({ small, rounds }: { readonly small: boolean; readonly rounds?: string }): number {
  if (rounds === undefined) return ROUNDS[small ? 'small' : 'full'];
  const count = whole('rounds', rounds);
  if (count === 0) throw new Error('expected --rounds to be at least 1, got 0');
  return count;
}

function casesOf(names: readonly string[], known: readonly Case[]): readonly Case[] {
  if (names.length === 0) return known.filter(({ name }) => name !== 'bar');
  return names.map((name) => {
    const found = known.find((one) => one.name === name);
    if (found !== undefined) return found;
    throw new Error(`expected a case, one of ${known.map((one) => one.name).join(', ')}, got '${name}'`);
  });
}

function valueOf(name: string, text: string, known: readonly Case[]): OptionValue {
  const option = known.find(({ options }) => Object.hasOwn(options, name))?.options[name];
  return Array.isArray(option?.full) ? text.split(',').map((part) => whole(name, part)) : whole(name, text);
}

function whole(name: string, text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new Error(`expected --${name} to be a whole number, got '${text}'`);
}
