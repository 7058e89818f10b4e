import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { notOurs } from './embedded-errors.js';

/** Where a project's server lives and as whom it runs. */
export interface Home {
  /** The project's `.lovage` folder, absolute. */
  readonly folder: string;
  /** Holds `data` and what else the server needs: `folder` itself, or as root a folder that the server's user may enter. */
  readonly home: string;
  readonly data: string;
  readonly logFile: string;
  /** null: this process's own user. */
  readonly user: { readonly uid: number; readonly gid: number } | null;
}

/** Makes the `.lovage` folder, with a `.gitignore` for all of it as it holds a password. */
export function makeFolder(folder: string): string {
  fs.mkdirSync(folder, { recursive: true });
  const ignore = path.join(folder, '.gitignore');
  if (!fs.existsSync(ignore)) fs.writeFileSync(ignore, '*\n');
  return fs.realpathSync(folder);
}

/** @throws LOVAGE_USAGE where somebody else has made root's folder */
export function makeHome(folder: string): Home {
  const user = process.getuid?.() === 0 ? unprivilegedUser() : null;
  const home = user === null ? folder : makeRootsHome(folder, user.gid);
  return { folder, home, data: path.join(home, 'postgres'), logFile: path.join(folder, 'postgres.log'), user };
}

/** Of root, so that nobody can change what it runs; the server's user enters by its group, others do not. */
function makeRootsHome(folder: string, gid: number): string {
  const parent = fs.existsSync('/var/tmp') ? '/var/tmp' : os.tmpdir();
  const home = path.join(parent, `lovage-${createHash('sha256').update(folder).digest('hex').slice(0, 16)}`);
  const pointer = path.join(folder, 'postgres.txt');
  // Who deletes .lovage wants to begin anew.
  const isNew = !fs.existsSync(pointer);
  // First, so that nothing is ever there that nobody can find.
  const text = `PostgreSQL does not run as root: for root the data of this project, which the next start deletes if this file is gone, is in\n${home}\n`;
  fs.writeFileSync(pointer, text);
  try {
    fs.mkdirSync(home, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  // Everybody may write in /var/tmp, and who knows the path of the project could have been there first.
  const found = fs.lstatSync(home);
  if (!found.isDirectory() || found.uid !== 0) throw notOurs(home);
  if (isNew)
    for (const kept of ['postgres', 'postgres.json'])
      fs.rmSync(path.join(home, kept), { recursive: true, force: true });
  fs.chownSync(home, 0, gid);
  fs.chmodSync(home, 0o710);
  return home;
}

function unprivilegedUser(): { uid: number; gid: number } {
  const id = (flag: string): number => Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}

/** What is kept from one run to the next beside the data. */
export interface Kept {
  readonly password: string;
  readonly port: number | null;
}

/** null: there is none, or none that can be read. */
export function readKept({ home }: Home): Kept | null {
  try {
    const { password, port } = JSON.parse(fs.readFileSync(keptIn(home), 'utf8')) as Partial<Kept>;
    return typeof password === 'string' ? { password, port: port ?? null } : null;
  } catch {
    return null;
  }
}

export function writeKept({ home }: Home, kept: Kept): void {
  const unfinished = `${keptIn(home)}.unfinished`;
  fs.rmSync(unfinished, { force: true });
  fs.writeFileSync(unfinished, JSON.stringify(kept), { mode: 0o600, flag: 'wx' });
  fs.renameSync(unfinished, keptIn(home));
}

/** Of hexadecimal digits: it needs no quoting in a URL or in SQL. */
export function newPassword(): string {
  return randomBytes(16).toString('hex');
}

function keptIn(home: string): string {
  return path.join(home, 'postgres.json');
}
