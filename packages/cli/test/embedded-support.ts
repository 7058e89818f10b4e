import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { Client } from 'pg';

export const REPOSITORY = path.join(__dirname, '..', '..', '..');
const HOST = path.join(__dirname, 'embedded-host.js');

export interface User {
  readonly uid: number;
  readonly gid: number;
}

/** The user `nobody`; null where this process could not become him. */
export function nobody(): User | null {
  if (process.getuid?.() !== 0) return null;
  const id = (flag: string): number => Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}

/** True where every user can enter the folder and read what is in it. */
export function othersMayEnter(folder: string): boolean {
  const parent = path.dirname(folder);
  return (fs.statSync(folder).mode & 0o005) === 0o005 && (parent === folder || othersMayEnter(parent));
}

/** True where this process may mount a disk of its own. */
export function mayMount(): boolean {
  const folder = fs.mkdtempSync('/var/tmp/lovage-test-');
  try {
    execFileSync('mount', ['-t', 'tmpfs', 'lovage-test', folder], { stdio: 'ignore' });
    execFileSync('umount', [folder]);
    return true;
  } catch {
    return false;
  } finally {
    fs.rmdirSync(folder);
  }
}

/** Runs with a disk of that size in the folder's place. */
export async function withDisk(folder: string, size: string, run: () => Promise<void>): Promise<void> {
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'lovage-test', folder]);
  try {
    await run();
  } finally {
    execFileSync('umount', [folder]);
  }
}

/** Folders that are removed in the end, each with what root keeps for it elsewhere. */
export class Folders {
  readonly #made: string[] = [];

  /** Under /var/tmp, which every user may enter as far as its mode says. */
  make(mode = 0o700): string {
    const folder = fs.mkdtempSync('/var/tmp/lovage-test-');
    fs.chmodSync(folder, mode);
    this.#made.push(folder);
    return folder;
  }

  remove(): void {
    for (const folder of this.#made) {
      fs.rmSync(homeOf(path.join(folder, '.lovage')), { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
      fs.rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
    }
  }
}

/** Where the data of a `.lovage` folder is kept. */
export function homeOf(folder: string): string {
  const pointer = path.join(folder, 'postgres.txt');
  return fs.existsSync(pointer) ? fs.readFileSync(pointer, 'utf8').trimEnd().split('\n').at(-1) || folder : folder;
}

/** The running processes in whose command line the text stands, as pid and command line. */
export function processesWith(text: string): readonly { readonly pid: number; readonly line: string }[] {
  return commandLines().filter(({ pid, line }) => pid !== process.pid && line.includes(text));
}

function commandLines(): { pid: number; line: string }[] {
  if (!fs.existsSync('/proc/self/cmdline')) {
    const lines = execFileSync('ps', ['-A', '-o', 'pid=,command='], { encoding: 'utf8' }).trim().split('\n');
    return lines.map((text) => {
      const [, pid = '', line = ''] = /^\s*(\d+) (.*)$/.exec(text) ?? [];
      return { pid: Number(pid), line };
    });
  }
  return fs.readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      return [{ pid: Number(name), line: fs.readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ') }];
    } catch {
      return []; // it ended between the two reads
    }
  });
}

/** The rows of one statement. */
export async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new Client(url);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

/** What the host of an embedded server has said. */
export interface Said {
  readonly progress?: string;
  readonly url?: string;
  readonly code?: string;
  readonly message?: string;
  readonly ended?: string | null;
}

/** A process with an embedded server, in a process group of its own. */
export interface Host {
  readonly pid: number;
  /** Resolves to its first word that is not of progress. */
  readonly started: Promise<Said>;
  readonly progress: readonly string[];
  /** Lets it stop its server; resolves when it has ended. */
  stop(): Promise<void>;
  kill(): Promise<void>;
}

export interface HostOptions {
  readonly folder: string;
  /** Default: what this repository has installed. */
  readonly from?: string;
  /** Default: the user of this process. */
  readonly user?: User | null;
}

export function startHost({ folder, from = REPOSITORY, user = null }: HostOptions): Host {
  const child = spawn(process.execPath, [HOST, JSON.stringify({ folder, from: [from], user })], {
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: true,
    cwd: '/',
  });
  const exited = once(child, 'exit');
  const progress: string[] = [];
  const started = new Promise<Said>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      const said = JSON.parse(line) as Said;
      if (said.progress !== undefined) progress.push(said.progress);
      else resolve(said);
    });
    void exited.then(([code]) => reject(new Error(`the host has ended with ${String(code)} before it had started`)));
  });
  return {
    pid: child.pid ?? 0,
    started,
    progress,
    async stop() {
      child.stdin.end();
      await exited;
    },
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}
