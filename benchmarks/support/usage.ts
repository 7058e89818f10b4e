import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** Linux counts processor time in hundredths of a second. */
const TICKS = 100;

/** Resident memory of a process in MB, read from the system; NaN where it cannot be. */
export function rssOf(pid: number | undefined): number {
  try {
    const line = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return Number(line?.[1] ?? NaN) / 1024;
  } catch {
    return rssByPs(pid);
  }
}

/** Processor time of a process and of those that it has started, in seconds; NaN where there is no /proc. */
export function cpuOf(pid: number | undefined): number {
  try {
    return treeOf(Number(pid)).reduce((sum, one) => sum + ticksOf(one), 0) / TICKS;
  } catch {
    return NaN;
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
  return Number(fields[11]) + Number(fields[12]);
}

function treeOf(pid: number): number[] {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
  );
  return [pid, ...children.flatMap(treeOf)];
}
