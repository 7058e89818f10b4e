import { parseArgs } from 'node:util';
import { CreateError } from './create-error.js';
import { CHOICES, type ChoiceName, type Variant } from './variant.js';

export const USAGE = `npm create lovage [folder] -- [options]

Writes a Lovage project: a task, an app that finds it, and a caller. Folder: default lovage-app; \`.\` is this one.

Options (npm wants \`--\` before them):
  --typescript | --javascript  The language. Default: asked on a terminal, else TypeScript
  --esm | --cjs                ES modules or CommonJS. Default: asked on a terminal, else ES modules
  --yes, -y                    Asks nothing: what is not said has its default
  --no-install                 Installs no dependencies
  --help, -h                   Shows this
  --version                    Shows the version
`;

/** A command line, read. */
export interface CommandLine {
  /** As given. */
  readonly folder: string;
  /** What flags have said. */
  readonly chosen: Partial<Variant>;
  readonly yes: boolean;
  readonly install: boolean;
  readonly shows: 'help' | 'version' | null;
}

const FLAGS = ['typescript', 'javascript', 'esm', 'cjs', 'yes', 'no-install', 'help', 'version'] as const;
const SHORT: Readonly<Record<string, (typeof FLAGS)[number]>> = { y: 'yes', h: 'help' };

/** @throws CreateError `usage` for an option that does not exist, a value no option takes, two that exclude each other, and more than one folder. */
export function parseCommandLine(argv: readonly string[]): CommandLine {
  // Not strict, as its own errors speak of how to call parseArgs.
  const { tokens } = parseArgs({ args: [...argv], strict: false, tokens: true });
  const flags = new Set<string>();
  const folders: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') folders.push(token.value);
    if (token.kind !== 'option') continue;
    const flag = token.rawName.startsWith('--') ? token.name : SHORT[token.name];
    if (!FLAGS.some((one) => one === flag)) throw wrong(`unknown option ${token.rawName}`);
    if (token.value !== undefined) throw wrong(`${token.rawName} takes no value, got ${JSON.stringify(token.value)}`);
    flags.add(flag as string);
  }
  const [folder = 'lovage-app', extra] = folders;
  if (extra !== undefined) throw wrong(`expected one folder, got ${folders.map(quoted).join(' and ')}`);
  if (folder.trim() === '') throw wrong(`expected the name of a folder, got ${quoted(folder)}`);
  return {
    folder,
    chosen: { ...chosenBy(flags, 'language'), ...chosenBy(flags, 'modules') },
    yes: flags.has('yes'),
    install: !flags.has('no-install'),
    shows: flags.has('help') ? 'help' : flags.has('version') ? 'version' : null,
  };
}

function chosenBy(flags: ReadonlySet<string>, name: ChoiceName): Partial<Variant> {
  const given = CHOICES[name].filter((value) => flags.has(value));
  if (given.length > 1) throw wrong(`expected one of ${given.map((value) => `--${value}`).join(' and ')}, got both`);
  return Object.fromEntries(given.map((value) => [name, value]));
}

function wrong(message: string): CreateError {
  return new CreateError('usage', message);
}

function quoted(text: string): string {
  return JSON.stringify(text);
}
