import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { type Interface, createInterface } from 'node:readline';

/** A Python that has Celery. */
export interface CeleryPeer {
  readonly python: string;
  readonly version: string;
}

const FOLDER = path.join(__dirname, 'python');
const READY_WITHIN_MS = 30_000;

/** CELERY_PYTHON, else Debian's own Python, else the first in PATH; null if Celery is in none of them. */
export function findCelery(): CeleryPeer | null {
  for (const python of [process.env['CELERY_PYTHON'], '/usr/bin/python3', 'python3']) {
    if (python === undefined) continue;
    try {
      const version = execFileSync(python, ['-c', 'import celery; print(celery.__version__)'], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      return { python, version: version.trim() };
    } catch {
      // No such Python, or one without Celery.
    }
  }
  return null;
}

/** python/repl.py as a process: one expression of Python in, its value out. */
export class PythonRepl {
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #reader: Interface;

  constructor(peer: CeleryPeer, env: NodeJS.ProcessEnv) {
    this.#process = spawn(peer.python, ['repl.py'], { ...spawnOptions(env), stdio: ['pipe', 'pipe', 'inherit'] });
    this.#reader = createInterface({ input: this.#process.stdout as NodeJS.ReadableStream });
    this.#lines = this.#reader[Symbol.asyncIterator]();
  }

  /** The value of the expression, through JSON. Rejects with Python's exception as its message. One at a time. */
  async eval<T>(expression: string): Promise<T> {
    this.#process.stdin?.write(`${expression}\n`);
    const { value: line, done } = await this.#lines.next();
    if (done === true) throw new Error('expected an answer of repl.py, but it has ended: see its error output');
    const answer = JSON.parse(line) as { readonly value: T; readonly error?: string };
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer.value;
  }

  async stop(): Promise<void> {
    const exited = this.#process.exitCode === null ? once(this.#process, 'exit') : null;
    this.#process.stdin?.end();
    await exited;
  }
}

/** A `celery worker` in a process of its own. */
export interface CeleryWorker {
  /** All that it has written so far. */
  readonly output: () => string;
  stop(): Promise<void>;
}

/** Starts a Celery worker on python/<app>.py and resolves when it consumes. */
export async function startCeleryWorker(
  peer: CeleryPeer,
  { app, queues, env }: { readonly app: string; readonly queues: readonly string[]; readonly env: NodeJS.ProcessEnv },
): Promise<CeleryWorker> {
  const quiet = ['--without-gossip', '--without-mingle', '--without-heartbeat'];
  const args = ['-m', 'celery', '-A', app, 'worker', '--pool', 'solo', '-l', 'info', '-Q', queues.join(','), ...quiet];
  const child = spawn(peer.python, args, { ...spawnOptions(env), stdio: ['ignore', 'ignore', 'pipe'] });
  const exited = once(child, 'exit');
  let output = '';
  const worker: CeleryWorker = {
    output: () => output,
    stop: async () => {
      child.kill('SIGQUIT'); // without waiting for tasks
      await exited;
    },
  };
  await new Promise<void>((resolve, reject) => {
    const fail = (what: string): void =>
      reject(new Error(`expected Celery to become ready, but it ${what}:\n${output}`));
    const timer = setTimeout(() => {
      fail(`was not within ${READY_WITHIN_MS / 1000} s`);
      child.kill('SIGKILL');
    }, READY_WITHIN_MS);
    void exited.then(([code]) => fail(`ended with ${code}`)).finally(() => clearTimeout(timer));
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      if (!/ ready\.$/m.test(output)) return;
      clearTimeout(timer);
      resolve();
    });
  });
  return worker;
}

function spawnOptions(env: NodeJS.ProcessEnv) {
  return {
    cwd: FOLDER,
    env: {
      ...process.env,
      C_FORCE_ROOT: '1', // Celery warns root, and refuses it with pickle, which is not used here
      PYTHONDONTWRITEBYTECODE: '1',
      PYTHONUNBUFFERED: '1',
      ...env,
    },
  };
}
