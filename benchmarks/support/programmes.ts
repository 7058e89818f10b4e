import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The command `lovage`, as built. */
export const CLI = join(dirname(createRequire(import.meta.url).resolve('lovage/package.json')), 'bin', 'lovage.js');

export const PROGRAMMES = fileURLToPath(new URL('../programmes/', import.meta.url));

export function programme(file: string): string {
  return join(PROGRAMMES, file);
}

/** The app that `lovage worker -A` runs, and its caller. */
export const APP = programme('lovage.mjs');
