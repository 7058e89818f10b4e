import { readFile } from 'node:fs/promises';
import { extname, resolve } from 'node:path';
import { importFailure } from '../app/import-failure.js';
import type { ModuleLoader } from '../app/module-loader.js';
import { folderOf, isFile } from '../app/source-files.js';
import { LovageError, expected } from '../errors/lovage-error.js';
import { isRecord } from './config-type.js';

export interface ReadConfigFileOptions {
  readonly loader: ModuleLoader;
  /** The file, as a path or URL, whose folder a relative path starts from. Default: the working directory. */
  readonly from?: string;
}

/**
 * The configuration that a file holds: a .json object, or what a module exports (its default export, else its named ones), to be handed to `readLayer`.
 * Throws LOVAGE_CONFIG naming the file if it cannot be read or imported, or holds no object.
 */
export async function readConfigFile(path: string, { loader, from }: ReadConfigFileOptions): Promise<object> {
  const file = resolve(from === undefined ? '.' : folderOf(from), path);
  if (!isFile(file)) throw new LovageError('LOVAGE_CONFIG', `there is no configuration file ${file}`);
  const config = extname(file) === '.json' ? await readJson(file) : await importConfig(file, loader);
  if (isRecord(config)) return config;
  throw new LovageError(
    'LOVAGE_CONFIG',
    expected(file, "an object of settings, such as { broker: 'amqp://localhost' }", config),
  );
}

async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new LovageError('LOVAGE_CONFIG', `cannot read the configuration file ${path}: ${reason}`, { cause: error });
  }
}

async function importConfig(path: string, loader: ModuleLoader): Promise<unknown> {
  let exports: Record<string, unknown>;
  try {
    exports = await loader(path);
  } catch (error) {
    throw importFailure(error, { code: 'LOVAGE_CONFIG', what: 'the configuration file', file: path });
  }
  const value = exports['default'];
  // A CommonJS file that was compiled from an ES module holds its default export one level down.
  if (isRecord(value) && 'default' in value) return value['default'];
  return value ?? exports;
}
