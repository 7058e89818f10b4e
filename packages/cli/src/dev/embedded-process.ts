import { spawn } from 'node:child_process';
import path from 'node:path';

/** The same number of folders below the package from the sources as from what is built. */
const GUARD = path.join(__dirname, '..', '..', 'bin', 'embedded-guard.js');

export interface StopStep {
  readonly signal: 'SIGINT' | 'SIGQUIT' | 'SIGKILL';
  readonly afterMs: number;
}

/** What a guard is to run. */
export interface GuardedCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  /** null: the user of this process. */
  readonly user: { readonly uid: number; readonly gid: number } | null;
  /** What the command reads; default nothing. */
  readonly input?: string;
  /** How the command is ended, the times counted from the moment the end is asked for. */
  readonly stop: readonly StopStep[];
  /** An open file that its output goes to; default: it is collected. */
  readonly output?: number;
  /** Shown in the process list beside the guard. */
  readonly label: string;
}

/** A command that runs, and the guard that ends it when this process is gone. */
export interface GuardedProcess {
  /** Resolves when the guard has ended and nobody holds its output any more: its command has, too, unless the guard was killed. */
  readonly ended: Promise<{ readonly code: number | null; readonly output: string }>;
  /** Asks for the end. */
  readonly stop: () => void;
}

/** Starts a command under a guard, in a session of its own. Never throws: what fails is in `output`, with a code that is not 0. */
export function startGuarded({ output, label, ...command }: GuardedCommand): GuardedProcess {
  const to = output ?? 'pipe';
  const guard = spawn(process.execPath, [GUARD, label], {
    cwd: command.cwd,
    env: environment(),
    detached: true,
    windowsHide: true,
    stdio: ['pipe', to, to],
  });
  let collected = '';
  for (const stream of [guard.stdout, guard.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => (collected += text));
  }
  const ended = new Promise<{ code: number | null; output: string }>((resolve) => {
    guard.once('error', (error) => resolve({ code: null, output: error.message }));
    guard.once('close', (code) => resolve({ code, output: collected.trim() }));
  });
  guard.stdin?.on('error', () => {}); // it was killed; `ended` tells
  const pgCtl = path.join(path.dirname(command.command), 'pg_ctl');
  guard.stdin?.write(`${JSON.stringify({ input: '', ...command, pgCtl })}\n`);
  return { ended, stop: () => void guard.stdin?.end() };
}

/** Nothing of the user's own: PG* variables would change what PostgreSQL does, and secrets are not for the user it may run as. */
function environment(): NodeJS.ProcessEnv {
  const kept = ['PATH', 'LD_LIBRARY_PATH', 'SystemRoot', 'TEMP', 'TMP'];
  const inherited = kept.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]]));
  return { ...(Object.fromEntries(inherited) as NodeJS.ProcessEnv), LC_ALL: 'C', TZ: 'UTC' };
}
