import path from 'node:path';

const FALLBACK = 'lovage-app';
const LENGTH_AT_MOST = 214;
/** Names that npm refuses, or that would be a dependency of themselves. */
const TAKEN = ['node_modules', 'favicon.ico', 'lovage', 'typescript'];

/** The name of a package in this folder, valid for npm: the folder's own where that is valid, else what is left of it. */
export function packageNameOf(folder: string): string {
  const name = path
    .basename(folder)
    .normalize('NFKD')
    .toLowerCase()
    .replace(/\p{Mark}/gu, '') // an é is an e now
    .replace(/[^a-z0-9._-]+/g, '-')
    .replace(/^[._-]+|-+$/g, '')
    .slice(0, LENGTH_AT_MOST);
  return name === '' || TAKEN.includes(name) ? FALLBACK : name;
}
