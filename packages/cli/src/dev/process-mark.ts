import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/**
 * When a process began, as text: what tells it from a later one that was given its id. null: no process of that id runs. '' where the platform does
 * not say (Windows): then the id alone must do.
 */
export function processMark(pid: number): string | null {
  if (!exists(pid)) return null;
  if (process.platform === 'linux') return markFromProc(pid);
  return process.platform === 'win32' ? '' : markFromPs(pid);
}

function exists(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    // Another user's.
    return (error as { code?: unknown }).code === 'EPERM';
  }
}

/** Field 22, in ticks since the machine started; proc(5). The name before it may hold spaces and brackets. */
function markFromProc(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // A zombie has ended.
    return fields[0] === 'Z' ? null : (fields[19] ?? '');
  } catch {
    return null;
  }
}

function markFromPs(pid: number): string | null {
  try {
    const env = { PATH: process.env['PATH'], LC_ALL: 'C', TZ: 'UTC' };
    const began = execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8', env });
    return began.trim();
  } catch {
    return null;
  }
}
