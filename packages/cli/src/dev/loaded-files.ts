import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { FromWorker } from './protocol.js';

/** How often modules that a task imports late are looked for, in milliseconds. */
const LOOK_EVERY_MS = 1_000;

/**
 * In the worker: tells which CommonJS modules were loaded. `require.cache` has those of jiti too, and keeps those that failed to load. Native ES modules
 * are in no list, but Node reports them by itself (`filesIn`).
 */
export function reportLoadedFiles(send: (message: FromWorker) => void): () => void {
  const known = new Set(Object.keys(require.cache));
  const report = (): void => {
    const files = Object.keys(require.cache).filter((file) => !known.has(file));
    for (const file of files) known.add(file);
    if (files.length > 0) send({ kind: 'files', files });
  };
  setInterval(report, LOOK_EVERY_MS).unref();
  process.on('exit', report);
  return report;
}

/**
 * What makes Node report the modules that a forked process loads, as it does for `node --watch`: lib/internal/modules/esm/loader.js and lib/internal/modules/cjs/loader.js of
 * Node 20 send `{ 'watch:import': [url] }` and `{ 'watch:require': [path, …] }`, the latter with the paths that were tried where nothing was found. Not documented; without it, native
 * ES modules alone would go unwatched.
 */
export const REPORT_MODULES = { WATCH_REPORT_DEPENDENCIES: '1' };

/** In `lovage dev`: the files that a message of the worker names; none in any other message. */
export function filesIn(message: unknown): readonly string[] {
  if (typeof message !== 'object' || message === null) return [];
  const { kind, files } = message as { readonly kind?: unknown; readonly files?: unknown };
  const reports = message as Readonly<Record<string, unknown>>;
  return [kind === 'files' ? files : [], reports['watch:require'], reports['watch:import']]
    .flatMap((report) => (Array.isArray(report) ? (report as readonly unknown[]) : []))
    .flatMap((name) => (typeof name === 'string' ? pathOf(name) : []))
    .filter(isSource);
}

function pathOf(name: string): string | [] {
  if (name.startsWith('file:')) return fileURLToPath(name);
  return path.isAbsolute(name) ? name : [];
}

/** What somebody at work here may edit: nothing that was installed, and not Lovage itself where it is linked. */
function isSource(file: string): boolean {
  if (file.split(path.sep).includes('node_modules')) return false;
  const name = packageOf(path.dirname(file));
  return name !== 'lovage' && !name.startsWith('@lovage/');
}

const packages = new Map<string, string>();

/** The name of the package that a folder belongs to; '' if it has none. */
function packageOf(folder: string): string {
  let name = packages.get(folder);
  if (name === undefined) {
    const manifest = path.join(folder, 'package.json');
    const parent = path.dirname(folder);
    name = existsSync(manifest) ? nameIn(manifest) : parent === folder ? '' : packageOf(parent);
    packages.set(folder, name);
  }
  return name;
}

function nameIn(manifest: string): string {
  try {
    const { name } = JSON.parse(readFileSync(manifest, 'utf8')) as { readonly name?: unknown };
    return typeof name === 'string' ? name : '';
  } catch {
    return '';
  }
}
