import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { eventually } from '../../support/eventually.js';

const REPOSITORY = path.join(__dirname, '..', '..', '..');
const LOVAGE = path.join(REPOSITORY, 'packages', 'lovage', 'bin', 'lovage.js');

export interface SpawnOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** What is piped in; nothing if absent. */
  readonly input?: string;
}

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly elapsedMs: number;
}

/** A `lovage` command in a process of its own. */
export class LovageProcess {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #startedAt = Date.now();
  readonly #closed: Promise<number | null>;
  #stdout = '';
  #stderr = '';

  constructor(argv: readonly string[], { env, cwd, input }: SpawnOptions = {}) {
    this.#child = spawn(process.execPath, [LOVAGE, ...argv], {
      cwd: cwd ?? REPOSITORY,
      env: { ...process.env, ...env },
    });
    this.#closed = once(this.#child, 'close').then(([code]) => code as number | null);
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => (this.#stdout += text));
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => (this.#stderr += text));
    this.#child.stdin.end(input ?? '');
  }

  get stderr(): string {
    return this.#stderr;
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** Closes both outputs, as a `| head` does when it has seen enough. */
  stopReading(): void {
    this.#child.stdout.destroy();
    this.#child.stderr.destroy();
  }

  /** Resolves once standard error holds `text`; with how long that took since the start, in milliseconds. */
  async says(text: string): Promise<number> {
    await eventually(() => expect(this.#stderr).toContain(text), { timeoutMs: 20_000 });
    return Date.now() - this.#startedAt;
  }

  async ended(): Promise<Ended> {
    const code = await this.#closed;
    return { code, stdout: this.#stdout, stderr: this.#stderr, elapsedMs: Date.now() - this.#startedAt };
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#closed;
  }
}
