import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { inUse } from './embedded-errors.js';

/** Whoever holds the lock. A pid alone is not enough: in a container that is started again everybody gets the same one as last time. */
interface Owner {
  readonly pid: number;
  readonly started: string;
  readonly host: string;
}

/** How long a lock may be without content: its maker is between two system calls, or was killed there. */
const BLANK_MS = 1_000;
/** A takeover takes a few system calls: one that is this old was killed in it. */
const TAKEOVER_MS = 5_000;

/**
 * Takes a lock that one process holds at a time, and that is free once its holder is gone. PostgreSQL's own lock does not do: whoever finds a server
 * running must know whether somebody uses it, or a killed run left it.
 * @returns what gives the lock back
 * @throws LOVAGE_USAGE where another process holds it
 */
export async function takeLock(file: string): Promise<() => void> {
  const mine = JSON.stringify({ pid: process.pid, started: startOf(process.pid), host: os.hostname() } satisfies Owner);
  for (;;) {
    if (create(file, mine)) return () => release(file, mine);
    const found = await contentOf(file);
    if (found === null) continue;
    const owner = parse(found);
    if (owner !== null && isHeld(owner)) throw inUse(file, owner, owner.host !== os.hostname());
    await removeStale(file, found);
  }
}

/** True for a process that exists, whoever runs it. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function create(file: string, content: string): boolean {
  let made: number;
  try {
    made = fs.openSync(file, 'wx');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
  try {
    fs.writeFileSync(made, content);
    return true;
  } catch (error) {
    fs.rmSync(file, { force: true }); // a full disk takes the name, but not the content
    throw error;
  } finally {
    fs.closeSync(made);
  }
}

/** null: it is gone. */
async function contentOf(file: string): Promise<string | null> {
  const deadline = Date.now() + BLANK_MS;
  for (;;) {
    const content = read(file);
    if (content !== '' || Date.now() > deadline) return content;
    await pause(20);
  }
}

function read(file: string): string | null {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

function parse(content: string): Owner | null {
  try {
    return JSON.parse(content) as Owner;
  } catch {
    return null; // its writer was killed, or the machine went down
  }
}

function isHeld({ pid, started, host }: Owner): boolean {
  if (host !== os.hostname()) return true; // whether it lives cannot be seen from here
  return isAlive(pid) && startOf(pid) === started;
}

/** One at a time, so that of two who found it stale the second does not remove the new lock of the first. */
async function removeStale(file: string, content: string): Promise<void> {
  const takeover = `${file}.takeover`;
  if (!create(takeover, '')) {
    const made = fs.statSync(takeover, { throwIfNoEntry: false })?.mtimeMs;
    if (made !== undefined && Date.now() - made > TAKEOVER_MS) fs.rmSync(takeover, { force: true });
    else await pause(20);
    return;
  }
  try {
    if (read(file) === content) fs.rmSync(file);
  } finally {
    fs.rmSync(takeover, { force: true });
  }
}

/** Never throws: a lock that stays is stale once this process is gone. */
function release(file: string, mine: string): void {
  try {
    if (read(file) === mine) fs.rmSync(file, { force: true });
  } catch {
    // the folder is gone or no longer ours
  }
}

/** When a process started, in a form of the platform; '' where that is not known: then its pid has to do. */
function startOf(pid: number): string {
  try {
    if (process.platform === 'linux') {
      const boot = fs.readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
      const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
      // The second field is the command in parentheses and may hold anything; the third is the state, the 22nd the start.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return fields[0] === 'Z' ? '' : `${boot} ${fields[19]}`; // Z: it has ended, but its parent has not looked
    }
    if (process.platform === 'win32') return '';
    return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8', env: { LC_ALL: 'C' } }).trim();
  } catch {
    return '';
  }
}
