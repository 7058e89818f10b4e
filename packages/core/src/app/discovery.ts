import { join, resolve } from 'node:path';
import { LovageError } from '../errors/lovage-error.js';
import { taskDefinitionOf } from '../task/task.js';
import type { TaskClass } from '../task/task-definition.js';
import { importFailure } from './import-failure.js';
import type { ModuleLoader } from './module-loader.js';
import { extensionsFrom, folderOf, isDirectory, isFile, pathOf, showCandidates } from './source-files.js';

export interface DiscoveryRequest {
  /** Folders that hold a task module each, relative to the folder of `from`: `billing`, `./shop/billing`. */
  readonly packages: readonly string[];
  /** Who asks: `import.meta.url`, `__filename` or `__dirname`. */
  readonly from: string;
  /** The task module's name in each folder, without its extension. */
  readonly related: string;
  /** Told of a module that exports no task: not an error, as in Celery, but seldom meant. */
  readonly warn?: (message: string) => void;
}

export interface DiscoveredTask {
  /** The absolute path of the module that exports it. */
  readonly file: string;
  readonly taskClass: TaskClass;
}

/**
 * Imports the task module of each package and finds the exported classes that carry @Task. For each package that is `<package>/<related>`, else
 * `<package>/<related>/index`, in the extension of `from` first; of a .ts file and its .js twin one is imported. Modules are imported one
 * after another, in the order given, each once; a class exported from several is found once, under the first.
 *
 * Throws LOVAGE_DISCOVERY naming every package without a task module, and what was tried, before anything is imported; and for
 * a module that throws, with its file, its message and the original as cause.
 */
export async function discover(request: DiscoveryRequest, loader: ModuleLoader): Promise<readonly DiscoveredTask[]> {
  const found = new Map<TaskClass, DiscoveredTask>();
  for (const file of findModules(request)) {
    const classes = await importTasks(file, loader);
    if (classes.length === 0) request.warn?.(noTasksIn(file));
    for (const taskClass of classes) {
      if (!found.has(taskClass)) found.set(taskClass, { file, taskClass });
    }
  }
  return [...found.values()];
}

function findModules({ packages, from, related }: DiscoveryRequest): ReadonlySet<string> {
  const importer = pathOf(from);
  const base = folderOf(from);
  const extensions = extensionsFrom(importer);
  const files = new Set<string>();
  const missing: string[] = [];
  for (const name of packages) {
    const stem = join(resolve(base, name), related);
    const file = candidates(stem, extensions).find(isFile);
    if (file !== undefined) files.add(file);
    else missing.push(missingModule({ name, related, base, extensions }));
  }
  if (missing.length > 0) throw new LovageError('LOVAGE_DISCOVERY', missing.join('\n'));
  return files;
}

function candidates(stem: string, extensions: readonly string[]): readonly string[] {
  return [stem, join(stem, 'index')].flatMap((start) => extensions.map((extension) => start + extension));
}

function missingModule(search: { name: string; related: string; base: string; extensions: readonly string[] }): string {
  const { name, related, base, extensions } = search;
  const folder = resolve(base, name);
  if (!isDirectory(folder)) {
    const split = resolve(base, ...name.split('.'));
    const hint =
      /^\w+(\.\w+)+$/.test(name) && isDirectory(split) ? `; did you mean '${name.replaceAll('.', '/')}'?` : '';
    return `package '${name}' not found: there is no folder ${folder}${hint}`;
  }
  const tried = [join(folder, related), join(folder, related, 'index')].map((stem) => showCandidates(stem, extensions));
  return `package '${name}' has no task module '${related}': tried ${tried.join(' and ')}`;
}

async function importTasks(file: string, loader: ModuleLoader): Promise<readonly TaskClass[]> {
  let values: readonly unknown[];
  try {
    values = exportedValues(await loader(file));
  } catch (error) {
    throw importFailure(error, { code: 'LOVAGE_DISCOVERY', what: 'the task module', file });
  }
  return values.flatMap((value) => taskDefinitionOf(value)?.taskClass ?? []);
}

/** Node names only those exports of a CommonJS module that it can guess; the default export holds them all. */
function exportedValues(exports: Record<string, unknown>): readonly unknown[] {
  const whole = exports['default'];
  const inner = typeof whole === 'object' && whole !== null ? (Object.values(whole) as readonly unknown[]) : [];
  return [...new Set([...Object.values(exports), ...inner])];
}

function noTasksIn(file: string): string {
  return `the task module ${file} exports no task: only classes that are exported and carry @Task are found`;
}
