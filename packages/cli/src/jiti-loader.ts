import type { createJiti } from 'jiti';
import { nativeLoader, type ModuleLoader } from '@lovage/core';
import { decorateFields } from './decorate-fields.js';

const OPTIONS = { interopDefault: false, transformOptions: { babel: { plugins: [decorateFields] } } };

/**
 * Loads an app and its task modules: JavaScript as Node itself does; TypeScript through jiti, which keeps the metadata that decorators need. From the first
 * TypeScript module on everything goes through jiti, as a module that a TypeScript one has imported already must not be evaluated a second time.
 */
export function createJitiLoader(): ModuleLoader {
  let jiti: Promise<ReturnType<typeof createJiti>> | undefined;
  return async (file) => {
    if (jiti === undefined && !isTypeScript(file)) return nativeLoader(file);
    // jiti takes 20 ms to load, which an app in JavaScript need not pay.
    jiti ??= import('jiti').then((module) => module.createJiti(__filename, OPTIONS));
    return (await jiti).import<Record<string, unknown>>(file);
  };
}

export function isTypeScript(file: string): boolean {
  return /\.[cm]?tsx?$/.test(file);
}
