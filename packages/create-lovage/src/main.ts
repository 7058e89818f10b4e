import path from 'node:path';
import { askVariant } from './ask-variant.js';
import { type CommandLine, USAGE, parseCommandLine } from './command-line.js';
import { EXIT_CODES, isCreateError } from './create-error.js';
import type { CreateIo } from './create-io.js';
import { ownVersion } from './own-version.js';
import { type PackageManager, installDependencies, packageManagerOf } from './package-manager.js';
import { packageNameOf } from './package-name.js';
import { projectFiles } from './project-files.js';
import { CHOICES, type Variant } from './variant.js';
import { writeProject } from './write-project.js';

/**
 * The `create-lovage` command: runs one command line and resolves with its exit code: 0, or one of EXIT_CODES with a sentence on stderr. Ends no process.
 *
 * @param argv what follows `create-lovage` on the command line
 */
export async function main(argv: readonly string[], io: CreateIo): Promise<number> {
  try {
    const commandLine = parseCommandLine(argv);
    if (commandLine.shows === 'help') io.stdout.write(USAGE);
    else if (commandLine.shows === 'version') io.stdout.write(`${ownVersion()}\n`);
    else await create(commandLine, io);
    return 0;
  } catch (error) {
    if (!isCreateError(error)) throw error;
    io.stderr.write(`create-lovage: ${error.message}\n`);
    if (error.code === 'usage') io.stderr.write(`\n${USAGE}`);
    return EXIT_CODES[error.code];
  }
}

async function create(commandLine: CommandLine, io: CreateIo): Promise<void> {
  const variant = await variantOf(commandLine, io);
  const folder = path.resolve(io.cwd, commandLine.folder);
  const files = projectFiles({ name: packageNameOf(folder), variant });
  await writeProject(folder, files);
  io.stdout.write(`Written to ${folder}: ${[...files.keys()].join(', ')}\n`);
  const manager = packageManagerOf(io);
  if (commandLine.install) await installDependencies(manager, folder, io);
  io.stdout.write(nextSteps(commandLine, { manager, cwd: io.cwd }));
}

async function variantOf({ chosen, yes }: CommandLine, io: CreateIo): Promise<Variant> {
  const { language = CHOICES.language[0], modules = CHOICES.modules[0] } = chosen;
  const isSaid = chosen.language !== undefined && chosen.modules !== undefined;
  const isTerminal = io.stdin.isTTY === true && io.stdout.isTTY === true;
  return isSaid || yes || !isTerminal ? { language, modules } : askVariant(chosen, io);
}

interface Place {
  readonly manager: PackageManager;
  readonly cwd: string;
}

function nextSteps({ folder, install }: CommandLine, { manager, cwd }: Place): string {
  const elsewhere = path.resolve(cwd, folder) !== cwd;
  const there = elsewhere ? [`cd ${/^[\w./@:\\-]+$/.test(folder) ? folder : JSON.stringify(folder)}`] : [];
  const first = [...there, ...(install ? [] : [`${manager} install`]), 'npx lovage dev'];
  const second = [...there, 'npx lovage call math.divide 1 2 --wait'];
  return `\nNext:\n${indented(first)}\nand in another terminal:\n${indented(second)}`;
}

function indented(lines: readonly string[]): string {
  return lines.map((line) => `  ${line}\n`).join('');
}
