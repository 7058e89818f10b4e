import { randomUUID } from 'node:crypto';
import {
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { LovageError, maskUrl } from '@lovage/core';
import { processMark } from './process-mark.js';

const FOLDER = '.lovage';
const DEV_FILE = 'dev.json';
const LOCK = /^lock\.(\d+)$/;

/** A process that holds a folder. */
interface Holder {
  readonly pid: number;
  /** See processMark. */
  readonly mark: string;
  /** When it took the folder; ISO. */
  readonly since: string;
}

/** A `lovage dev` that runs, as it describes itself in dev.json. */
export interface RunningDev extends Holder {
  /** Of the database that is broker and results; holds its password. */
  readonly url: string;
}

/** A folder that is this process's until it releases it or ends. */
export interface DevFolder {
  /** The absolute path of `.lovage`. */
  readonly folder: string;
  /** Tells other commands where the database is, in dev.json: readable by this user alone. */
  publish(url: string): void;
  /** Takes dev.json away and lets go of the folder. Idempotent. */
  release(): void;
}

/** Where the `.lovage` of a working directory is: beside the nearest package.json, as npm's own files are, else in it. */
export function devFolderOf(cwd: string): string {
  const root = upwards(cwd).find((folder) => existsSync(path.join(folder, 'package.json'))) ?? path.resolve(cwd);
  return path.join(root, FOLDER);
}

/**
 * Makes a `.lovage` this process's own. It is made if it is missing, and kept out of version control by a .gitignore of its own.
 *
 * @throws LOVAGE_USAGE where another `lovage dev` holds it, with its pid, and where it cannot be written
 */
export function claimDevFolder(folder: string): DevFolder {
  try {
    mkdirSync(folder, { recursive: true });
    const ignore = path.join(folder, '.gitignore');
    if (!existsSync(ignore)) writeFileSync(ignore, '*\n');
  } catch (error) {
    const reason = (error as Error).message;
    throw new LovageError('LOVAGE_USAGE', `cannot write to ${folder}: ${reason}`, { cause: error });
  }
  const holder = { pid: process.pid, mark: processMark(process.pid) ?? '', since: new Date().toISOString() };
  const lock = takeLock(folder, holder);
  const file = path.join(folder, DEV_FILE);
  let held = true;
  return {
    folder,
    publish: (url) => writeWhole(file, JSON.stringify({ ...holder, url } satisfies RunningDev, null, 2)),
    release: () => {
      if (!held) return;
      held = false;
      // The whole folder may have been removed meanwhile, and be another's by now.
      if (readJson<Holder>(file)?.pid === holder.pid) rmSync(file, { force: true });
      if (existsSync(lock)) truncateSync(lock);
    },
  };
}

/** The `lovage dev` that runs for a folder or for the nearest of its parents; null: none does. */
export function findDev(cwd: string): RunningDev | null {
  for (const folder of upwards(cwd)) {
    const dev = readDevFile(path.join(folder, FOLDER));
    if (dev !== null) return dev;
  }
  return null;
}

/**
 * A lock is a file named by a number, the highest of which counts: held while the process in it runs, empty or of a process that has ended if it is free. To take it is to
 * make the next one, which only one can do, and to find that it is the highest still: whoever is late, and took a number again that has been held and removed, sees a
 * higher one. So a lock that a killed process left needs no removal that could hit its successor's.
 */
function takeLock(folder: string, holder: Holder): string {
  for (;;) {
    const highest = highestLock(folder);
    const other = holderOf(path.join(folder, `lock.${highest}`));
    if (other !== null) throw alreadyRuns(folder, other);
    const mine = path.join(folder, `lock.${highest + 1}`);
    if (!createWhole(mine, JSON.stringify(holder))) continue;
    if (highestLock(folder) === highest + 1) {
      for (const number of locksIn(folder)) {
        if (number <= highest) rmSync(path.join(folder, `lock.${number}`), { force: true });
      }
      return mine;
    }
    rmSync(mine, { force: true });
  }
}

function highestLock(folder: string): number {
  return Math.max(0, ...locksIn(folder));
}

function locksIn(folder: string): readonly number[] {
  return readdirSync(folder)
    .flatMap((name) => LOCK.exec(name)?.[1] ?? [])
    .map(Number);
}

/** null: nobody holds it any more. */
function holderOf(lock: string): Holder | null {
  const holder = readJson<Holder>(lock);
  return holder !== null && runs(holder) ? holder : null;
}

function alreadyRuns(folder: string, { pid, since }: Holder): LovageError {
  const dev = readDevFile(folder);
  const where = dev === null ? 'it is starting' : maskUrl(dev.url);
  return new LovageError(
    'LOVAGE_USAGE',
    `lovage dev runs already in ${path.dirname(folder)} (pid ${pid}, since ${since}, ${where}): use it, as npx lovage call and shell do by themselves, or end it with Ctrl-C or kill ${pid}`,
    { details: { pid } },
  );
}

/** null: there is none, its process has ended, or it is another user's: what it says would send this user's tasks to a server of theirs. */
function readDevFile(folder: string): RunningDev | null {
  const file = path.join(folder, DEV_FILE);
  const owner = statSync(file, { throwIfNoEntry: false })?.uid;
  if (owner === undefined || (process.getuid !== undefined && owner !== process.getuid())) return null;
  const dev = readJson<RunningDev>(file);
  return dev !== null && typeof dev.url === 'string' && runs(dev) ? dev : null;
}

function runs({ pid, mark }: Holder): boolean {
  return Number.isInteger(pid) && pid > 0 && processMark(pid) === mark;
}

/** null for a file that is missing, or holds no JSON object. */
function readJson<T extends object>(file: string): T | null {
  try {
    const value: unknown = JSON.parse(readFileSync(file, 'utf8'));
    return typeof value === 'object' && value !== null ? (value as T) : null;
  } catch {
    return null;
  }
}

/** Nobody ever reads half of it. */
function writeWhole(file: string, text: string): void {
  const draft = `${file}.${randomUUID()}`;
  writeFileSync(draft, text, { mode: 0o600 });
  renameSync(draft, file);
}

/** As writeWhole; false where the file exists. */
function createWhole(file: string, text: string): boolean {
  const draft = `${file}.${randomUUID()}`;
  writeFileSync(draft, text, { mode: 0o600 });
  try {
    linkSync(draft, file);
    return true;
  } catch (error) {
    if ((error as { code?: unknown }).code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}

/** A folder and all above it. */
function upwards(folder: string): readonly string[] {
  const absolute = path.resolve(folder);
  const parent = path.dirname(absolute);
  return parent === absolute ? [absolute] : [absolute, ...upwards(parent)];
}
