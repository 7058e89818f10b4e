import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Linux counts processor time in hundredths of a second. */
const TICKS = 100;
/** A socket's state in /proc/net. */
const LISTENS = '0A';

/** Resident memory of a process in MB, read from the system; NaN where it cannot be. */
export function rssOf(pid: number | undefined): number {
  try {
    const line = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return Number(line?.[1] ?? NaN) / 1024;
  } catch {
    return rssByPs(pid);
  }
}

/** Processor time of a process and of those that it has started, also of those that have ended, in seconds; NaN where there is no /proc. */
export function cpuOf(pid: number | undefined): number {
  try {
    return treeOf(Number(pid)).reduce((sum, one) => sum + ticksOf(one), 0) / TICKS;
  } catch {
    return NaN;
  }
}

/** The process of this machine that listens on a TCP port; undefined: none that this user may look at. */
export function listenerOn(port: number): number | undefined {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  const sockets = new Set(
    ['tcp', 'tcp6'].flatMap((table) =>
      linesOf(`/proc/net/${table}`)
        .map((line) => line.trim().split(/ +/))
        .filter(([, local, , state]) => local?.endsWith(`:${hex}`) && state === LISTENS)
        .map((fields) => `socket:[${fields[9]}]`),
    ),
  );
  return entriesOf('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .sort((a, b) => a - b)
    .find((pid) => entriesOf(`/proc/${pid}/fd`).some((fd) => sockets.has(linkOf(`/proc/${pid}/fd/${fd}`))));
}

function linesOf(file: string): readonly string[] {
  try {
    return readFileSync(file, 'utf8').split('\n');
  } catch {
    return [];
  }
}

function entriesOf(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function linkOf(file: string): string {
  try {
    return readlinkSync(file);
  } catch {
    return '';
  }
}

function rssByPs(pid: number | undefined): number {
  try {
    return Number(execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' })) / 1024 || NaN;
  } catch {
    return NaN;
  }
}

function ticksOf(pid: number): number {
  // The name, in brackets, may hold anything; the fields follow it.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
  // Its own, and that of children which have ended.
  return fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
}

function treeOf(pid: number): number[] {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
  );
  return [pid, ...children.flatMap(treeOf)];
}
