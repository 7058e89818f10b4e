import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { ownVersion } from './own-version.js';
import type { Variant } from './variant.js';

const TEMPLATES = path.join(__dirname, '..', 'templates');
const TYPESCRIPT = { typescript: '~5.9.3', '@types/node': '^20.19.0' };
/** npm leaves these out of a package under their own names. */
const RENAMED: Readonly<Record<string, string>> = { gitignore: '.gitignore' };

/** A project that is to be written. */
export interface Project {
  /** A valid name of a package. */
  readonly name: string;
  readonly variant: Variant;
}

/** The files of a project: path inside it, with `/`, → text; sorted by path. */
export function projectFiles(project: Project): ReadonlyMap<string, string> {
  const extension = project.variant.language === 'typescript' ? 'ts' : 'js';
  const fields: Readonly<Record<string, string>> = { name: project.name, extension };
  const files = foldersOf(project.variant).flatMap((folder) =>
    filesIn(path.join(TEMPLATES, folder)).map((file): [string, string] => {
      const text = readFileSync(path.join(TEMPLATES, folder, file), 'utf8');
      // What both languages share is stored as JavaScript.
      const name = RENAMED[file] ?? file.replace(/\.js$/, `.${extension}`);
      return [name, text.replace(/\{\{(\w+)\}\}/g, (field, key: string) => fields[key] ?? field)];
    }),
  );
  return new Map([['package.json', manifest(project)] as const, ...files].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The folders of templates that a variant is made of: each is named after the choices that its files need. */
function foldersOf({ language, modules }: Variant): readonly string[] {
  return ['every', language, modules, `${language}-${modules}`].filter((folder) =>
    existsSync(path.join(TEMPLATES, folder)),
  );
}

function filesIn(folder: string): readonly string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)).replaceAll(path.sep, '/'));
}

function manifest({ name, variant }: Project): string {
  const fields = {
    name,
    private: true,
    type: variant.modules === 'esm' ? 'module' : 'commonjs',
    scripts: { dev: 'lovage dev' },
    dependencies: { lovage: `^${ownVersion()}` },
    ...(variant.language === 'typescript' ? { devDependencies: TYPESCRIPT } : {}),
  };
  return `${JSON.stringify(fields, null, 2)}\n`;
}
