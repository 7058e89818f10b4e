import fs from 'node:fs';
import path from 'node:path';
import { failedWith, otherMajor } from './embedded-errors.js';
import type { Home } from './embedded-home.js';
import { startGuarded } from './embedded-process.js';

/** What a folder begins with that is not yet a database. */
const UNFINISHED = 'postgres-unfinished-';

/** What makes or changes a database while no server runs. */
export interface ClusterTools {
  readonly home: Home;
  /** The folder of the executables. */
  readonly bin: string;
  readonly password: string;
  readonly signal: AbortSignal;
}

/**
 * The major version of the data that is there; null: there is none.
 * @throws LOVAGE_DRIVER where it is not `installed`
 */
export function checkMajor({ data }: Home, installed: string): string | null {
  const made = majorOf(data);
  if (made !== null && made !== installed) throw otherMajor({ data, made, installed });
  return made;
}

function majorOf(data: string): string | null {
  try {
    return fs.readFileSync(path.join(data, 'PG_VERSION'), 'utf8').trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** Makes the data folder with user and database `lovage`; in another place until it is complete, so that an interrupted one is never taken for a database. */
export async function createCluster(tools: ClusterTools): Promise<void> {
  const { home, password } = tools;
  removeUnfinished(home.home);
  const unfinished = fs.mkdtempSync(path.join(home.home, UNFINISHED)); // a name that no initdb of a killed run still writes to
  const data = path.join(unfinished, 'data');
  const passwordFile = path.join(unfinished, 'password');
  try {
    fs.writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 });
    if (home.user !== null) {
      for (const file of [passwordFile, unfinished]) fs.chownSync(file, home.user.uid, home.user.gid);
    }
    await run(tools, {
      name: 'initdb',
      args: [
        '-D',
        data,
        '-U',
        'lovage',
        `--pwfile=${passwordFile}`,
        '--auth=scram-sha-256',
        '-E',
        'UTF8',
        '--no-locale',
      ],
    });
    await runSql(tools, { data, sql: 'CREATE DATABASE lovage' });
    fs.renameSync(data, home.data);
  } finally {
    removeFolder(unfinished);
  }
}

/** Gives the user `lovage` the password, in place of one that was lost. No server may run. */
export async function resetPassword(tools: ClusterTools): Promise<void> {
  await runSql(tools, { data: tools.home.data, sql: `ALTER ROLE lovage PASSWORD '${tools.password}'` });
}

/** Single-user mode needs no client and no password. */
function runSql(tools: ClusterTools, { data, sql }: { readonly data: string; readonly sql: string }): Promise<void> {
  return run(tools, { name: 'postgres', args: ['--single', '-D', data, 'template1'], input: `${sql}\n` });
}

interface Tool {
  readonly name: 'initdb' | 'postgres';
  readonly args: readonly string[];
  readonly input?: string;
}

async function run({ home, bin, signal }: ClusterTools, { name, ...call }: Tool): Promise<void> {
  signal.throwIfAborted();
  const running = startGuarded({
    ...call,
    command: path.join(bin, name),
    cwd: home.home,
    user: home.user,
    stop: [{ signal: 'SIGKILL', afterMs: 0 }], // what it makes is thrown away
    label: home.data,
  });
  signal.addEventListener('abort', running.stop);
  const { code, output } = await running.ended;
  signal.removeEventListener('abort', running.stop);
  signal.throwIfAborted();
  if (code !== 0)
    throw failedWith(`PostgreSQL's data could not be set up in ${home.data}: ${name} failed`, output, home.data);
}

/** What killed runs have left. */
function removeUnfinished(home: string): void {
  for (const name of fs.readdirSync(home)) {
    if (name.startsWith(UNFINISHED)) removeFolder(path.join(home, name));
  }
}

/** A process that was killed may still be writing its last file. */
function removeFolder(folder: string): void {
  fs.rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
}
