import { type ParseArgsConfig, parseArgs } from 'node:util';

export interface OptionsSpec<N extends string, F extends string> {
  /** How the programme is started, up to its options: `npm run bench --`. */
  readonly command: string;
  /** Whole numbers ≥ 1 and their defaults. */
  readonly numbers: Readonly<Record<N, number>>;
  readonly flags?: readonly F[];
}

/** What the command line says, or the defaults. Wrong options end this process with 2, after a sentence and the usage line. */
export function readOptions<N extends string, F extends string = never>(
  spec: OptionsSpec<N, F>,
): Readonly<Record<N, number> & Record<F, boolean>> {
  try {
    return parse(spec);
  } catch (error) {
    console.error(`${(error as Error).message}\nUsage: ${usageOf(spec)}`);
    process.exit(2);
  }
}

function parse<N extends string, F extends string>({ numbers, flags = [] }: OptionsSpec<N, F>) {
  const config: NonNullable<ParseArgsConfig['options']> = {};
  for (const [name, value] of Object.entries(numbers)) config[name] = { type: 'string', default: String(value) };
  for (const name of flags) config[name] = { type: 'boolean', default: false };
  const { values } = parseArgs({ options: config });
  const read = Object.entries(values).map(([name, value]) => [
    name,
    typeof value === 'string' ? count(name, value) : value,
  ]);
  return Object.fromEntries(read) as Record<N, number> & Record<F, boolean>;
}

function count(name: string, value: string): number {
  if (/^[1-9]\d{0,8}$/.test(value)) return Number(value);
  throw new Error(`expected --${name} to be a whole number ≥ 1, got '${value}'`);
}

function usageOf<N extends string, F extends string>({ command, numbers, flags = [] }: OptionsSpec<N, F>): string {
  const options = [
    ...Object.entries<number>(numbers).map(([name, value]) => `[--${name} ${value}]`),
    ...flags.map((name) => `[--${name}]`),
  ];
  return `${command} ${options.join(' ')}`;
}

/** A variable that `npm run bench` sets. */
export function required(name: 'LOVAGE_BROKER' | 'LOVAGE_RESULTS'): string {
  const value = process.env[name];
  if (value === undefined || value === '')
    throw new Error(`expected ${name} to be set: run this through \`npm run bench\``);
  return value;
}
