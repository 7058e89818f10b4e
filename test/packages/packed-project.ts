import { execFile } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import type { Ended } from '../support/lovage-process.js';

export const REPOSITORY = path.join(__dirname, '..', '..');
const QUICKSTART = path.join(REPOSITORY, 'examples', 'quickstart');

/** A package as it would be published. */
export interface PackedPackage {
  readonly name: string;
  readonly tarball: string;
  /** Paths inside the package. */
  readonly files: readonly string[];
}

/** A folder outside the repository with the packed packages installed, and in it two copies of the tutorial's project. */
export interface PackedProject {
  readonly folder: string;
  readonly packages: readonly PackedPackage[];
  /** The tutorial as it stands, with ES modules. */
  readonly esm: string;
  /** The tutorial with CommonJS. */
  readonly cjs: string;
  /** The `lovage` command that was installed. */
  readonly bin: string;
  remove(): void;
}

/** Packs every package and installs the tarballs, and their dependencies from the registry, into an empty folder. */
export async function packedProject(): Promise<PackedProject> {
  // Resolved, as Node does: on macOS the folder of temporary files is a symbolic link.
  const folder = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'lovage-packages-')));
  const packages = await packAll(path.join(folder, 'tarballs'));
  const dependencies = Object.fromEntries(packages.map(({ name, tarball }) => [name, `file:${tarball}`]));
  const { devDependencies } = readJson(path.join(REPOSITORY, 'package.json')) as { readonly devDependencies: Versions };
  // Only for types; tsc and jest run from the repository's own folder.
  const types = { '@types/node': devDependencies['@types/node'], '@types/jest': devDependencies['@types/jest'] };
  writeJson(path.join(folder, 'package.json'), { name: 'packed', private: true, dependencies, devDependencies: types });
  await npm(['install', '--strict-peer-deps', '--prefer-offline', '--no-audit', '--no-fund'], folder);
  return {
    folder,
    packages,
    esm: copyQuickstart(path.join(folder, 'esm'), { type: 'module' }),
    cjs: copyQuickstart(path.join(folder, 'cjs'), { type: 'commonjs' }),
    bin: path.join(folder, 'node_modules', '.bin', 'lovage'),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

type Versions = Readonly<Record<string, string>>;

/** Packs every package, as built, into a folder that is made. */
export async function packAll(destination: string): Promise<readonly PackedPackage[]> {
  mkdirSync(destination);
  const folders = readdirSync(path.join(REPOSITORY, 'packages'));
  const workspaces = folders.flatMap((name) => ['--workspace', `packages/${name}`]);
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', destination, ...workspaces];
  const { stdout } = await npm(args, REPOSITORY);
  const packed = JSON.parse(stdout) as readonly {
    readonly name: string;
    readonly filename: string;
    readonly files: readonly { readonly path: string }[];
  }[];
  return packed.map(({ name, filename, files }) => ({
    name,
    // npm 10 gives `@lovage/core-0.1.0.tgz` for the file lovage-core-0.1.0.tgz.
    tarball: path.join(destination, filename.replace('@', '').replace('/', '-')),
    files: files.map((file) => file.path),
  }));
}

function copyQuickstart(folder: string, { type }: { readonly type: 'module' | 'commonjs' }): string {
  cpSync(QUICKSTART, folder, { recursive: true, filter: (file) => !file.includes('node_modules') });
  writeJson(path.join(folder, 'package.json'), { name: `quickstart-${type}`, private: true, type });
  if (type === 'commonjs') {
    edit(path.join(folder, 'app.ts'), (text) => text.replace('import.meta.url', '__filename'));
    edit(path.join(folder, 'send.ts'), withoutTopLevelAwait);
  }
  return folder;
}

function withoutTopLevelAwait(text: string): string {
  const lines = text.split('\n');
  const imports = lines.filter((line) => line.startsWith('import '));
  const body = lines.filter((line) => !line.startsWith('import '));
  return [...imports, 'async function main(): Promise<void> {', ...body, '}', 'void main();', ''].join('\n');
}

function edit(file: string, change: (text: string) => string): void {
  const text = readFileSync(file, 'utf8');
  const changed = change(text);
  if (changed === text) throw new Error(`expected to find something to change in ${file}`);
  writeFileSync(file, changed);
}

/** npm, as a user would run it: without what an `npm test` around this test has put into the environment. */
export async function npm(args: readonly string[], cwd: string): Promise<Ended> {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name)));
  const { stdout, stderr } = await promisify(execFile)('npm', args, { cwd, env, maxBuffer: 64 * 1024 * 1024 });
  return { code: 0, stdout, stderr };
}

export function readJson(file: string): unknown {
  return JSON.parse(readFileSync(file, 'utf8'));
}

export function writeJson(file: string, value: unknown): void {
  writeFileSync(file, `${JSON.stringify(value, null, 2)}\n`);
}
