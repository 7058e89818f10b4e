import { pathToFileURL } from 'node:url';
import { LovageError } from '../errors/lovage-error.js';
import { reasonOf } from './import-failure.js';

/** Imports the file at an absolute path and resolves with its exports. The lovage command brings one that reads TypeScript. */
export type ModuleLoader = (file: string) => Promise<Record<string, unknown>>;

/** Node's own `import()`; `require` where a virtual machine forbids it (Jest without --experimental-vm-modules). */
export const nativeLoader: ModuleLoader = async (file) => {
  const { href } = pathToFileURL(file);
  try {
    return (await import(href)) as Record<string, unknown>;
  } catch (error) {
    if (!importIsUnavailable(error, href)) throw error;
    return requireModule(file);
  }
};

// On globalThis, so that it also serves apps of a second copy of this package.
const DEFAULT = Symbol.for('lovage.loader');
const loaders = globalThis as { [DEFAULT]?: ModuleLoader };

/** What an app imports with unless it is told otherwise: `nativeLoader`, or what `setDefaultLoader` set. */
export const defaultLoader: ModuleLoader = (file) => (loaders[DEFAULT] ?? nativeLoader)(file);

/** Sets the loader of every app in this process; for what runs scripts, such as `lovage run`. */
export function setDefaultLoader(loader: ModuleLoader): void {
  loaders[DEFAULT] = loader;
}

/**
 * Imports an installed package by its name. Throws LOVAGE_DRIVER with the command that installs it if it is not there, and with the cause
 * if it cannot be imported.
 */
export async function loadPackage(name: string): Promise<Record<string, unknown>> {
  try {
    return await importPackage(name);
  } catch (error) {
    if (isMissing(error, name)) {
      throw new LovageError('LOVAGE_DRIVER', `the package ${name} is not installed: npm install ${name}`, {
        cause: error,
      });
    }
    throw new LovageError('LOVAGE_DRIVER', `cannot import the package ${name}: ${reasonOf(error)}`, { cause: error });
  }
}

// `require` first: it finds what core itself sees, under every loader; our drivers are CommonJS.
async function importPackage(name: string): Promise<Record<string, unknown>> {
  try {
    return requireModule(name);
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'ERR_REQUIRE_ESM') throw error;
    return (await import(name)) as Record<string, unknown>;
  }
}

function requireModule(request: string): Record<string, unknown> {
  // This very `require`, not one of createRequire: under Jest it is the one that shares the test's own modules.
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- the only way to load a module where import() is forbidden
  const exports: unknown = require(request);
  // As import() would present it: a CommonJS module may export a single value.
  const isNamespace = typeof exports === 'object' && exports !== null;
  return isNamespace ? { default: exports, ...exports } : { default: exports };
}

function importIsUnavailable(error: unknown, specifier: string): boolean {
  const { code, message } = error as { readonly code?: unknown; readonly message?: unknown };
  if (code === 'ERR_VM_DYNAMIC_IMPORT_CALLBACK_MISSING' || code === 'ERR_VM_DYNAMIC_IMPORT_CALLBACK_MISSING_FLAG')
    return true;
  if (typeof message !== 'string') return false;
  // A transformer that compiles import() to require() leaves a require that knows no file: URLs.
  return code === 'MODULE_NOT_FOUND' && specifier.startsWith('file:') && message.includes(specifier);
}

function isMissing(error: unknown, name: string): boolean {
  const { code, message } = error as { readonly code?: unknown; readonly message?: unknown };
  if (code !== 'ERR_MODULE_NOT_FOUND' && code !== 'MODULE_NOT_FOUND') return false;
  return typeof message === 'string' && message.includes(`'${name}'`);
}
