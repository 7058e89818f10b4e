import { lstat, mkdir, rm, rmdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { CreateError } from './create-error.js';

/**
 * Writes files (path inside the folder → text) into a folder, which is made if it does not exist. All or none: what is there is never overwritten, and what was
 * written before a failure is removed again.
 *
 * @throws CreateError `failure` naming the files that are there already, or the path that cannot be written.
 */
export async function writeProject(folder: string, files: ReadonlyMap<string, string>): Promise<void> {
  const obstacles = await obstaclesIn(folder, [...files.keys()]);
  if (obstacles.length > 0) {
    throw new CreateError(
      'failure',
      `expected ${folder} to be free of the files to be written, but it has ${obstacles.join(', ')}; nothing was written. Give another folder, or move them`,
    );
  }
  const written: string[] = [];
  const made: string[] = [];
  try {
    for (const [file, text] of files) {
      const target = path.join(folder, file);
      made.unshift(...(await makeFolder(path.dirname(target))));
      await writeFile(target, text, { flag: 'wx' });
      written.push(target);
    }
  } catch (error) {
    for (const file of written) await rm(file, { force: true });
    // Not with what somebody else has put there meanwhile.
    for (const each of made) await rmdir(each).catch(() => undefined);
    throw cannotWrite(folder, error);
  }
}

/** Makes a folder and those it is in; returns those that were not there, the innermost first. */
async function makeFolder(folder: string): Promise<readonly string[]> {
  const outermost = await mkdir(folder, { recursive: true });
  const made: string[] = [];
  if (outermost === undefined) return made;
  for (let each = folder; each.length >= outermost.length; each = path.dirname(each)) made.push(each);
  return made;
}

/** Of these files, or the folders they are in, what is in the way. */
async function obstaclesIn(folder: string, files: readonly string[]): Promise<readonly string[]> {
  const found = new Set<string>();
  for (const file of files) {
    if (await kindOf(path.join(folder, file))) found.add(file);
    const parent = path.posix.dirname(file);
    if (parent !== '.' && (await kindOf(path.join(folder, parent))) === 'file') found.add(parent);
  }
  return [...found];
}

/** Whether something is there, a link that leads nowhere included. */
async function kindOf(target: string): Promise<'folder' | 'file' | null> {
  try {
    return (await lstat(target)).isDirectory() ? 'folder' : 'file';
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(codeOf(error))) return null;
    throw cannotWrite(target, error);
  }
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'you have no permission',
  EPERM: 'you have no permission',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
  ENOTDIR: 'part of the path is a file',
  EEXIST: 'part of the path is a file',
  ENAMETOOLONG: 'the name is too long',
};

function cannotWrite(folder: string, error: unknown): CreateError {
  const code = codeOf(error);
  const reason = REASONS[code];
  return new CreateError(
    'failure',
    `cannot write to ${folder}: ${reason === undefined ? String(error) : `${reason} (${code})`}; nothing was written. Give a folder that can be written`,
    { cause: error },
  );
}

function codeOf(error: unknown): string {
  return String((error as { readonly code?: unknown } | null)?.code);
}
