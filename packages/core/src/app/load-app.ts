import { join, resolve } from 'node:path';
import { LovageError, isLovageError, show } from '../errors/lovage-error.js';
import { importFailure } from './import-failure.js';
import { type Lovage, isLovageApp } from './lovage.js';
import type { ModuleLoader } from './module-loader.js';
import { SOURCE_EXTENSIONS, isFile, showCandidates } from './source-files.js';

export interface LoadAppOptions {
  /** What a relative path starts from. */
  readonly cwd: string;
  readonly loader: ModuleLoader;
}

export interface FoundApp {
  readonly app: Lovage;
  /** The absolute path of the module that exports it. */
  readonly file: string;
}

/**
 * Finds the app that `-A X[:export]` names. The file is X, else X.ts (.js, .mjs, .cjs …), X/index, X/app. The export is the one named, else `app`, else the
 * default one, else the only app among the exports.
 *
 * Throws LOVAGE_APP_NOT_FOUND: no such file, with what was tried; a file that throws, with its message and the original as cause; no app in it, or
 * several, with what it exports.
 */
export async function loadApp(spec: string, { cwd, loader }: LoadAppOptions): Promise<FoundApp> {
  const { path, exportName } = parseSpec(spec);
  const file = findFile(path, cwd);
  const exports = await importApp(file, loader);
  return { app: exportName === null ? pickApp(exports, { file, path }) : namedApp(exports, exportName, file), file };
}

/** The absolute path of the module that `-A X[:export]` names, which is not imported. Throws LOVAGE_APP_NOT_FOUND: no such file. */
export function findAppFile(spec: string, { cwd }: Pick<LoadAppOptions, 'cwd'>): string {
  return findFile(parseSpec(spec).path, cwd);
}

/** The text after the last colon is the export if it is an identifier; `C:\app.ts` is a path. */
function parseSpec(spec: string): { readonly path: string; readonly exportName: string | null } {
  const match = /^(.*):([\p{ID_Start}$_][\p{ID_Continue}$]*)$/u.exec(spec);
  const [path, exportName] = match === null ? [spec, null] : [match[1] ?? '', match[2] ?? null];
  if (path === '') throw notFound(`expected -A to be a path such as ./app.ts or ./app.ts:app, got ${show(spec)}`);
  return { path, exportName };
}

function findFile(path: string, cwd: string): string {
  const exact = resolve(cwd, path);
  const stems = [exact, join(exact, 'index'), join(exact, 'app')];
  const candidates = [exact, ...stems.flatMap((stem) => SOURCE_EXTENSIONS.map((extension) => stem + extension))];
  const file = candidates.find(isFile);
  if (file !== undefined) return file;
  const tried = [exact, ...stems.map((stem) => showCandidates(stem, SOURCE_EXTENSIONS))];
  throw notFound(
    `no app at '${path}': none of these files exists:\n  ${tried.join('\n  ')}\nGo to the app's folder, or name its module: -A ./src/app.ts`,
  );
}

/** The module's exports by name. Those of a CommonJS module that Node cannot guess stand in its default export. */
async function importApp(file: string, loader: ModuleLoader): Promise<ReadonlyMap<string, unknown>> {
  try {
    const exports = await loader(file);
    const whole = exports['default'];
    const isNamespace = typeof whole === 'object' && whole !== null && !isLovageApp(whole);
    const entries = [...(isNamespace ? Object.entries(whole) : []), ...Object.entries(exports)];
    const named = new Map(entries.filter(([name]) => name !== '__esModule' && name !== 'module.exports'));
    if (isNamespace && 'default' in whole) named.set('default', whole.default);
    return named;
  } catch (error) {
    // Such as a wrong LOVAGE_BROKER: the module is there, and what it says of itself is enough.
    if (isLovageError(error)) throw error;
    throw importFailure(error, { code: 'LOVAGE_APP_NOT_FOUND', what: 'the app module', file });
  }
}

function namedApp(exports: ReadonlyMap<string, unknown>, name: string, file: string): Lovage {
  const value = exports.get(name);
  if (isLovageApp(value)) return value;
  if (!exports.has(name)) throw notFound(`${file} has no export '${name}'; ${listing(exports)}`);
  throw notFound(`expected the export '${name}' of ${file} to be a Lovage app, got ${show(value)}`);
}

function pickApp(
  exports: ReadonlyMap<string, unknown>,
  { file, path }: { readonly file: string; readonly path: string },
): Lovage {
  for (const name of ['app', 'default']) {
    const value = exports.get(name);
    if (isLovageApp(value)) return value;
  }
  const apps = [...exports].filter(([, value]) => isLovageApp(value));
  const [only] = apps;
  if (only !== undefined && new Set(apps.map(([, value]) => value)).size === 1) return only[1] as Lovage;
  if (only === undefined)
    throw notFound(`${file} exports no Lovage app; ${listing(exports)}. Write: export const app = new Lovage({ … })`);
  const names = apps.map(([name]) => name);
  throw notFound(`${file} exports several Lovage apps (${names.join(', ')}); say which: -A ${path}:${names[0]}`);
}

function listing(exports: ReadonlyMap<string, unknown>): string {
  const found = [...exports].map(([name, value]) => `${name} (${isLovageApp(value) ? 'a Lovage app' : show(value)})`);
  return found.length === 0 ? 'it exports nothing' : `it exports ${found.join(', ')}`;
}

function notFound(message: string): LovageError {
  return new LovageError('LOVAGE_APP_NOT_FOUND', message);
}
