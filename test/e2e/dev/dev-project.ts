import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { eventually } from '../../support/eventually.js';
import { type Ended, runLovage } from '../../support/lovage-process.js';
import { processesNaming } from '../../support/process-tree.js';

const REPOSITORY = path.join(__dirname, '..', '..', '..');
const LOVAGE = path.join(REPOSITORY, 'packages', 'lovage', 'bin', 'lovage.js');
const WITHIN_MS = 20_000;
const NO_SERVICES = { LOVAGE_BROKER: '', LOVAGE_RESULTS: '', FORCE_COLOR: undefined };

/** Where a project's files are, for tests of `lovage dev`: a folder of its own in which this repository's `lovage` is installed. */
export class DevProject {
  readonly folder = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'lovage-dev-')));
  readonly #started = new Set<DevProcess>();

  constructor(files: Readonly<Record<string, string>>) {
    symlinkSync(path.join(REPOSITORY, 'node_modules'), path.join(this.folder, 'node_modules'));
    for (const [name, text] of Object.entries(files)) this.write(name, text);
  }

  path(name: string): string {
    return path.join(this.folder, name);
  }

  /** Saves a file in place. */
  write(name: string, text: string): void {
    mkdirSync(path.dirname(this.path(name)), { recursive: true });
    writeFileSync(this.path(name), text);
  }

  /** Saves a file as many editors do: another takes its place. */
  replace(name: string, text: string): void {
    this.write(`${name}.new`, text);
    renameSync(this.path(`${name}.new`), this.path(name));
  }

  /** Starts `lovage dev`. */
  dev(env: NodeJS.ProcessEnv = {}): DevProcess {
    const started = new DevProcess(this.folder, { ...process.env, ...NO_SERVICES, ...env });
    this.#started.add(started);
    return started;
  }

  /** Runs another command in the folder, or in one below it. */
  lovage(args: readonly string[], options: { readonly env?: NodeJS.ProcessEnv; readonly below?: string } = {}) {
    return runLovage(args, {
      cwd: path.join(this.folder, options.below ?? ''),
      env: { ...NO_SERVICES, ...options.env },
    }) satisfies Promise<Ended>;
  }

  /** What `lovage call <args> --wait` prints; rejects unless the task ended well. */
  async call(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.lovage(['call', ...args, '--wait', '--timeout', '15s']);
    if (code !== 0) throw new Error(`lovage call ${args.join(' ')} ended with ${code}: ${stderr}`);
    return stdout.trim();
  }

  /** Command lines of every process that has to do with this folder: by its arguments or its working directory. */
  processes(): readonly string[] {
    return this.#places().flatMap(processesNaming);
  }

  /** Ends what still runs and removes all files. Rejects if anything has to be killed that should have ended with its `lovage dev`. */
  async remove(): Promise<void> {
    await Promise.all([...this.#started].map((one) => one.kill()));
    try {
      await eventually(() => expect(this.processes()).toEqual([]), { timeoutMs: WITHIN_MS });
    } finally {
      for (const one of this.processes()) process.kill(Number.parseInt(one), 'SIGKILL');
      for (const place of this.#places()) rmSync(place, { recursive: true, force: true });
    }
  }

  /** The folder, and for root that of the data. */
  #places(): readonly string[] {
    const note = this.path('.lovage/postgres.txt');
    const elsewhere = existsSync(note) ? (readFileSync(note, 'utf8').trim().split('\n').at(-1) ?? '') : '';
    return elsewhere.startsWith('/') ? [this.folder, elsewhere] : [this.folder];
  }
}

/** A `lovage dev`, started as a shell starts it: in a process group of its own. */
export class DevProcess {
  readonly pid: number;
  readonly ended: Promise<number | null>;
  #output = '';
  #read = 0;

  constructor(cwd: string, env: NodeJS.ProcessEnv) {
    const child = spawn(process.execPath, [LOVAGE, 'dev'], {
      cwd,
      env,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.pid = child.pid as number;
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (this.#output += text));
    this.ended = once(child, 'exit').then(([code]) => code as number | null);
  }

  /** All that it and its workers have written. */
  get output(): string {
    return this.#output;
  }

  /** Resolves once it has written this, after what it had written when the last call resolved. */
  async says(text: string | RegExp): Promise<void> {
    await eventually(
      () => {
        const fresh = this.#output.slice(this.#read);
        expect(fresh).toMatch(text);
        const found = typeof text === 'string' ? fresh.indexOf(text) : (text.exec(fresh)?.index ?? 0);
        this.#read += found + (typeof text === 'string' ? text.length : (text.exec(fresh)?.[0].length ?? 0));
      },
      { timeoutMs: WITHIN_MS },
    );
  }

  /** Its worker consumes. */
  ready(): Promise<void> {
    return this.says(/@\S+ ready\n/);
  }

  /** Ctrl-C, as a terminal does it: to all of the group. */
  interrupt(): void {
    this.#signal('SIGINT');
  }

  signal(name: NodeJS.Signals): void {
    process.kill(this.pid, name);
  }

  async kill(): Promise<void> {
    this.#signal('SIGKILL');
    await this.ended;
  }

  #signal(name: NodeJS.Signals): void {
    try {
      process.kill(-this.pid, name);
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'ESRCH') throw error;
    }
  }
}
