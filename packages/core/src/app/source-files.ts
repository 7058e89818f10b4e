import { statSync } from 'node:fs';
import { dirname, extname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LovageError, expected } from '../errors/lovage-error.js';

const TYPESCRIPT = ['.ts', '.mts', '.cts'] as const;
const JAVASCRIPT = ['.js', '.mjs', '.cjs'] as const;

/** The order of `-A`: TypeScript before what it was compiled to. */
export const SOURCE_EXTENSIONS: readonly string[] = [...TYPESCRIPT, ...JAVASCRIPT];

/** The extensions to try from a file: its own first, then those of its language, then the others. A file without one counts as JavaScript. */
export function extensionsFrom(file: string): readonly string[] {
  const own = extname(file);
  const isTypeScript = (TYPESCRIPT as readonly string[]).includes(own);
  const order: readonly string[] = isTypeScript ? SOURCE_EXTENSIONS : [...JAVASCRIPT, ...TYPESCRIPT];
  return order.includes(own) ? [own, ...order.filter((extension) => extension !== own)] : order;
}

/** A module by its path without the extension, so that a .ts file and its .js twin are one. */
export function moduleOriginOf(file: string): string {
  return SOURCE_EXTENSIONS.includes(extname(file)) ? file.slice(0, -extname(file).length) : file;
}

export function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

export function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/** `/x/tasks.{ts,js}`: candidates that differ in their extension only, in one text. */
export function showCandidates(stem: string, extensions: readonly string[]): string {
  return `${stem}.{${extensions.map((extension) => extension.slice(1)).join(',')}}`;
}

/** The absolute path of a file that is named by a path or a file: URL (`__filename`, `import.meta.url`). Throws LOVAGE_USAGE for anything else. */
export function pathOf(from: string): string {
  try {
    if (from.startsWith('file:')) return fileURLToPath(from);
    if (from !== '' && !/^[a-z]{2,}:/i.test(from)) return resolve(from);
  } catch {
    // No file: URL of this machine, or no text at all: said below.
  }
  throw new LovageError('LOVAGE_USAGE', expected('from', 'a file: URL or a path (import.meta.url, __filename)', from));
}

/** The folder of the file that `from` names; `from` itself if it is a folder. */
export function folderOf(from: string): string {
  const path = pathOf(from);
  return isDirectory(path) ? path : dirname(path);
}
