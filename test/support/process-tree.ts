import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';

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

/** Kills those of these processes that still run: the end of one may be the end of others. */
export function killAll(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
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

/** What runs with this text in its command line or in its working directory: pid and command line, without this process. Of working directories only where /proc tells. */
export function processesNaming(text: string): readonly string[] {
  return processes()
    .filter(({ pid }) => pid !== process.pid)
    .map(({ pid }) => ({ pid, ...describe(pid) }))
    .filter(({ command, folder }) => command.includes(text) || folder.includes(text))
    .map(({ pid, command }) => `${pid} ${command}`);
}

/** '' for a process that has ended. */
export function commandOf(pid: number): string {
  return describe(pid).command;
}

function describe(pid: number): { readonly command: string; readonly folder: string } {
  try {
    if (!existsSync('/proc/self/stat'))
      return { command: execFileSync('ps', ['-p', String(pid), '-o', 'command='], { encoding: 'utf8' }), folder: '' };
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
    return { command, folder: readlinkSync(`/proc/${pid}/cwd`) };
  } catch {
    return { command: '', folder: '' }; // it has ended
  }
}
