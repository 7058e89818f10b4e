import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';

interface Entry {
  readonly pid: number;
  readonly parent: number;
}

/** The ids of all processes below `pid`, without itself. */
export function descendants(pid: number): readonly number[] {
  const entries = processes();
  const below = (parent: number): number[] =>
    entries.filter((entry) => entry.parent === parent).flatMap((entry) => [entry.pid, ...below(entry.pid)]);
  return below(pid);
}

export function isAlive(pid: number): boolean {
  return processes().some((entry) => entry.pid === pid);
}

/** Every running process; zombies have ended and do not count. */
function processes(): readonly Entry[] {
  // Small Linux images have no `ps`, macOS has no /proc.
  return existsSync('/proc/self/stat') ? fromProc() : fromPs();
}

function fromProc(): readonly Entry[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
        const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
        return state === 'Z' ? [] : [{ pid: Number(name), parent: Number(parent) }];
      } catch {
        return []; // it ended between the two reads
      }
    });
}

function fromPs(): readonly Entry[] {
  const lines = execFileSync('ps', ['-A', '-o', 'pid=,ppid=,stat='], { encoding: 'utf8' }).trim().split('\n');
  return lines.flatMap((line) => {
    const [pid, parent, state] = line.trim().split(/\s+/);
    return state?.startsWith('Z') ? [] : [{ pid: Number(pid), parent: Number(parent) }];
  });
}
