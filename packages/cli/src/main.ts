import yargs, { type Argv } from 'yargs';
import { cliVersion } from './cli-version.js';
import type { CliIo } from './cli-io.js';
import { COMMANDS, type CommandEntry, type CommandGroup } from './commands.js';
import { EXIT_CODES, type ExitName } from './exit-codes.js';
import { stderrOf, stdoutOf } from './terminal.js';

const WIDTH_AT_MOST = 110;

/** What may be given more than once. */
const LISTS: readonly string[] = ['_', 'args', 'ids'];

/**
 * The `lovage` command: runs one command line and resolves with its exit code (EXIT_CODES). Never rejects, and ends no process.
 *
 * @param argv what follows `lovage` on the command line
 */
export async function main(argv: readonly string[], io: CliIo): Promise<number> {
  const parser = createParser(io);
  let ended: ExitName | undefined;
  let options: readonly string[] = [];
  let help = '';
  addCommands(parser, COMMANDS);
  try {
    const words = argv.length === 0 ? ['--help'] : [...argv];
    await parser.parseAsync(words, {}, (_error: unknown, _values: unknown, output: string) => {
      help = output;
    });
  } catch (error) {
    // These need core, which --help does without.
    const [{ reportError }, { usageErrorOf }] = await Promise.all([
      import('./report-error.js'),
      import('./usage-error.js'),
    ]);
    return reportError(usageErrorOf(error, { argv, options }), io, { debug: asksForDebug(argv) });
  }
  if (ended !== undefined) return EXIT_CODES[ended].code;
  // Asked for, help is the result; given for want of a command, it is an error message.
  (argv.length === 0 ? stderrOf(io) : stdoutOf(io)).line(help);
  return EXIT_CODES[argv.length === 0 ? 'usage' : 'ok'].code;

  function addCommands(outer: Argv, nodes: readonly (CommandEntry | CommandGroup)[]): void {
    for (const node of nodes) {
      if ('load' in node) addCommand(outer, node);
      else {
        outer.command(node.usage, node.describe, (inner: Argv) => {
          addCommands(inner.demandCommand(1), node.commands);
          return inner;
        });
      }
    }
  }

  function addCommand(outer: Argv, { usage, describe, load }: CommandEntry): void {
    outer.command(
      usage,
      describe,
      async (inner: Argv) => {
        const { command } = await load();
        const built = command.build(inner.epilogue('')) as Argv;
        const known = knownOptions(built);
        options = Object.keys(known.key);
        refuseFlagValues(argv, known.boolean);
        return built;
      },
      async (values) => {
        ended = await (await load()).command.run(lastGiven(values) as never, io);
      },
    );
  }
}

function createParser(io: CliIo): Argv {
  return (
    yargs()
      .scriptName('lovage')
      .usage('$0 <command> [options]\n\nA distributed task queue on RabbitMQ and PostgreSQL.')
      .parserConfiguration({
        'parse-numbers': false,
        'parse-positional-numbers': false,
        'boolean-negation': false,
        'dot-notation': false,
      })
      .updateStrings(headings(io))
      .exitProcess(false)
      .strict()
      .help('help')
      .alias('help', 'h')
      .version(cliVersion())
      .wrap(Math.min(io.stdout.columns ?? 100, WIDTH_AT_MOST))
      .epilogue('`lovage <command> --help` shows what a command takes, with examples.')
      // Without it yargs prints; the error comes out of parseAsync all the same.
      .fail((message: string | null, error: Error | undefined) => {
        throw error ?? usageProblem(message ?? '');
      })
  );
}

function headings(io: CliIo): Record<string, string> {
  const { colors } = stdoutOf(io);
  const names = ['Commands:', 'Options:', 'Positionals:', 'Examples:'];
  return Object.fromEntries(names.map((name) => [name, colors.bold(name === 'Positionals:' ? 'Arguments:' : name)]));
}

/** What yargs knows of a command's options and its types do not tell; aliases included. */
interface KnownOptions {
  readonly key: Readonly<Record<string, unknown>>;
  readonly boolean: readonly string[];
}

function knownOptions(parser: Argv): KnownOptions {
  return (parser as unknown as { getOptions(): KnownOptions }).getOptions();
}

/** `--wait=5` would be false for yargs, and nobody would know. */
function refuseFlagValues(argv: readonly string[], flags: readonly string[]): void {
  for (const word of argv.slice(0, argv.includes('--') ? argv.indexOf('--') : argv.length)) {
    const [, name = '', value] = /^--([\w-]+)=(?!(?:true|false)$)(.*)$/s.exec(word) ?? [];
    if (flags.includes(name)) throw usageProblem(`--${name} takes no value, got ${JSON.stringify(value)}`);
  }
}

/** An error as yargs throws them, so that all of them are told in one way. */
function usageProblem(message: string): Error {
  return Object.assign(new TypeError(message), { name: 'YError' });
}

/** An option given twice has its last value; yargs would make an array of both. Lists are positionals here. */
function lastGiven<T extends object>(values: T): T {
  const last = ([key, value]: [string, unknown]): [string, unknown] =>
    Array.isArray(value) && !LISTS.includes(key) ? [key, value.at(-1)] : [key, value];
  return Object.fromEntries(Object.entries(values).map(last)) as T;
}

function asksForDebug(argv: readonly string[]): boolean {
  return /(^| )(-l|--loglevel)[ =]debug( |$)/i.test(argv.join(' '));
}
