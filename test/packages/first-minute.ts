import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { homeOf } from '../../packages/cli/test/embedded-support.js';
import { eventually } from '../support/eventually.js';
import type { Ended } from '../support/lovage-process.js';
import { descendants } from '../support/process-tree.js';
import { REPOSITORY, npm, packAll, readJson } from './packed-project.js';

/** What the README's "Sixty seconds to a result" tells to do. */
export interface FirstMinute {
  /** The commands that make the project, in its new folder from the first on. */
  readonly setUp: readonly string[];
  /** The name of that folder. */
  readonly folder: string;
  readonly file: { readonly name: string; readonly code: string };
  /** The command that stays open. */
  readonly dev: string;
  /** The command of the second terminal, and what it prints. */
  readonly call: string;
  readonly result: string;
}

/** Reads the README. Throws if its section has another shape. */
export function readFirstMinute(): FirstMinute {
  const readme = readFileSync(path.join(REPOSITORY, 'README.md'), 'utf8');
  const [, section = ''] = /^## Sixty seconds to a result\n([\s\S]*?)^## /m.exec(readme) ?? [];
  const [, name, code] = /^```ts\n(?=\/\/ (\S+)\n)([\s\S]*?)^```$/m.exec(section) ?? [];
  const prose = section.replace(/^```[\s\S]*?^```$/gm, '');
  const [setUp, dev, call] = [...prose.matchAll(/(?:^ {4}.*\n)+/gm)].map(([block]) => linesOf(block));
  const [, folder] = /^mkdir (\S+) && cd \1$/.exec(setUp?.[0]?.slice(2) ?? '') ?? [];
  if (!name || !code || !setUp || !dev || !call || !folder) {
    throw new Error(
      'expected "Sixty seconds to a result" to make a folder, save a file, start lovage dev, and call a task',
    );
  }
  const command = (line = ''): string => line.replace(/^\$ /, '');
  return {
    setUp: setUp.map(command),
    folder,
    file: { name, code },
    dev: command(dev[0]),
    call: command(call[0]),
    result: `${call.slice(1).join('\n')}\n`,
  };
}

function linesOf(block: string): readonly string[] {
  return block
    .trimEnd()
    .split('\n')
    .map((line) => line.slice(4));
}

/** A machine as a newcomer has it, as far as one folder can be: nothing in the environment, an empty home, and no Lovage but in tarballs. */
export class NewMachine {
  readonly home: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #tarballs: readonly string[];
  readonly #running = new Set<Running>();

  private constructor(home: string, env: NodeJS.ProcessEnv, tarballs: readonly string[]) {
    this.home = home;
    this.#env = env;
    this.#tarballs = tarballs;
  }

  /** Packs the packages. The caller removes it. */
  static async make(): Promise<NewMachine> {
    const home = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'lovage-first-minute-')));
    const packages = await packAll(path.join(home, 'tarballs'));
    const lovage = path.join(REPOSITORY, 'packages', 'lovage', 'package.json');
    const { dependencies } = readJson(lovage) as { readonly dependencies: Readonly<Record<string, string>> };
    const wanted = packages.filter(({ name }) => name === 'lovage' || name in dependencies);
    return new NewMachine(
      home,
      { ...(await networkOf()), PATH: process.env['PATH'], HOME: home },
      wanted.map(({ tarball }) => tarball),
    );
  }

  /** Does what a terminal in a folder is told, line by line; rejects at the first that fails. The package `lovage` comes from its tarball. */
  async do(commands: readonly string[], folder = ''): Promise<void> {
    const installs = commands.map((line) =>
      line.replace(/^(npm install\b.*) lovage$/, `$1 ${this.#tarballs.join(' ')}`),
    );
    const { code, stdout, stderr } = await this.run(installs.join(' && '), folder);
    if (code !== 0) throw new Error(`\`${commands.join(' && ')}\` ended with ${code}:\n${stdout}${stderr}`);
  }

  run(command: string, folder = ''): Promise<Ended> {
    return this.start(command, folder).ended;
  }

  /** Starts what a terminal is told, in a process group of its own. */
  start(command: string, folder = ''): Running {
    const running = new Running(command, { cwd: path.join(this.home, folder), env: this.#env });
    this.#running.add(running);
    return running;
  }

  async remove(): Promise<void> {
    for (const one of this.#running) await one.kill();
    const elsewhere = [...this.#running].map(({ cwd }) => homeOf(path.join(cwd, '.lovage')));
    for (const folder of [...elsewhere, this.home]) {
      if (existsSync(folder)) rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
    }
  }
}

/** How this machine reaches the registry, and what it has of it already: not a newcomer's, but no concern of the README's either. */
async function networkOf(): Promise<NodeJS.ProcessEnv> {
  const { stdout } = await npm(['config', 'list', '--json'], REPOSITORY);
  const { cache, registry } = JSON.parse(stdout) as { readonly cache: string; readonly registry: string };
  const proxies = Object.entries(process.env).filter(([name]) =>
    /^(https?_proxy|no_proxy|node_extra_ca_certs)$/i.test(name),
  );
  return {
    ...Object.fromEntries(proxies),
    npm_config_cache: cache,
    npm_config_registry: registry,
    npm_config_prefer_offline: 'true',
  };
}

/** What a terminal runs. */
export class Running {
  readonly cwd: string;
  readonly ended: Promise<Ended>;
  readonly #child: ChildProcess;
  #stdout = '';
  #stderr = '';

  constructor(command: string, { cwd, env }: { readonly cwd: string; readonly env: NodeJS.ProcessEnv }) {
    this.cwd = cwd;
    const child = spawn('sh', ['-c', command], { cwd, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.setEncoding('utf8').on('data', (text: string) => (this.#stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (this.#stderr += text));
    this.#child = child;
    this.ended = once(child, 'close').then(([code]) => ({
      code: code as number | null,
      stdout: this.#stdout,
      stderr: this.#stderr,
    }));
  }

  /** Resolves once its standard error matches; rejects if it ends before that, or has not within half a minute. */
  async says(pattern: RegExp): Promise<void> {
    const early = this.ended.then(({ code }) => {
      throw new Error(`it ended with ${code}:\n${this.#stderr}`);
    });
    const said = eventually(() => expect(this.#stderr).toMatch(pattern), { timeoutMs: 30_000 });
    await Promise.race([said, early]);
  }

  /** The ids of all processes it has started, and that these have. */
  processes(): readonly number[] {
    return descendants(this.#child.pid as number);
  }

  /** Ctrl-C, as a terminal does it: to all of the group. */
  interrupt(): void {
    process.kill(-(this.#child.pid as number), 'SIGINT');
  }

  /** Harmless once it has ended. */
  async kill(): Promise<void> {
    const { exitCode, signalCode, pid } = this.#child;
    if (exitCode === null && signalCode === null) process.kill(-(pid as number), 'SIGKILL');
    await this.ended;
  }
}
