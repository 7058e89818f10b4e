import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Lovage } from 'lovage';
import { Client } from 'pg';
import { isolatedBroker } from '../support/isolated-broker.js';
import { isolatedResults } from '../support/isolated-results.js';
import { type Block, type Step, blocksOf, expectShown, stepsOf } from './page-blocks.js';

const REPOSITORY = path.join(__dirname, '..', '..');
const HOW_TO = path.join(REPOSITORY, 'docs', 'how-to');
const QUICKSTART = path.join(REPOSITORY, 'examples', 'quickstart');
/** Beside a worker that is started when those before it have been stopped. */
const IN_PLACE = '# in place of the first, which Ctrl-C stops';
/** What npx does where a package is installed, without the start of npm, which took longer than the command each time. The real one is tested with the README's first minute. */
const NPX = `#!/bin/sh
command=$1
shift
exec '${path.join(REPOSITORY, 'node_modules', '.bin')}'/"$command" "$@"
`;
/** For a command to end, or a worker to become ready. */
const LIMIT_MS = 30_000;

/**
 * The examples of docs/how-to/<name>.md as a project that runs. Its files are the TypeScript blocks whose first line is a comment with a file's name, and the tutorial's
 * app.ts, which discovers them.
 */
export interface PageProject {
  /** Its folder, one of its own below the one that was given. */
  readonly folder: string;
  /**
   * Does what the page says, from top to bottom, as a reader would in a terminal: each line of a `sh` block must end well, or become ready if it starts a worker or a relay (IN_PLACE: in place of another);
   * each command of a `console` block must print what stands below it (see expectShown); each statement of a `sql` block must succeed, and a query find something.
   */
  follow(): Promise<void>;
  /** One command line; its output is as a terminal shows it. Rejects if it does not end in time. */
  run(command: string): Promise<{ readonly code: number | null; readonly output: string }>;
  readonly database: Client;
  /** Stops what it has started, and removes its services. */
  remove(): Promise<void>;
}

/** A folder for projects, in which `lovage` and the libraries of this repository are installed. The caller removes it. */
export function projectsFolder(): { readonly folder: string; remove(): void } {
  const folder = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'lovage-how-to-')));
  writeFileSync(path.join(folder, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
  cpSync(path.join(QUICKSTART, 'tsconfig.json'), path.join(folder, 'tsconfig.json'));
  symlinkSync(path.join(REPOSITORY, 'node_modules'), path.join(folder, 'node_modules'));
  mkdirSync(path.join(folder, 'bin'));
  writeFileSync(path.join(folder, 'bin', 'npx'), NPX, { mode: 0o755 });
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** Writes the files of a page. Returns their folder. */
export function writePage(page: string, parent: string): string {
  const folder = path.join(parent, page);
  const files = new Map([['app.ts', readFileSync(path.join(QUICKSTART, 'app.ts'), 'utf8')]]);
  for (const { language, code } of blocksOf(fileOf(page))) {
    const [, name] = /^\/\/ (\S+\.ts)\n/.exec(code) ?? [];
    if (language === 'ts' && name !== undefined) files.set(name, code);
  }
  const packages = [...files.keys()].filter((name) => name.endsWith('/tasks.ts')).map((name) => path.dirname(name));
  for (const [name, code] of files) {
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    writeFileSync(
      path.join(folder, name),
      code.replace("autodiscover(['math']", `autodiscover(${JSON.stringify(packages)}`),
    );
  }
  return folder;
}

/** The project of a page, its files written before, with services of its own that are migrated. The caller removes it. */
export async function openPage(page: string, folder: string): Promise<PageProject> {
  const [broker, results] = await Promise.all([isolatedBroker(), isolatedResults()]);
  const env = {
    ...process.env,
    LOVAGE_BROKER: broker.url,
    LOVAGE_RESULTS: results.url,
    DATABASE_URL: results.url,
    PATH: `${path.join(path.dirname(folder), 'bin')}:${process.env['PATH']}`,
  };
  const running = new Set<ChildProcess>();
  const database = new Client({ connectionString: results.url });
  const project: PageProject = {
    folder,
    database,
    run: async (command) => {
      const { child, output } = start(command);
      const closed = once(child, 'close') as Promise<[number | null]>;
      const [code] = await inTime(closed, () => `\`${command}\` did not end:\n${output()}`);
      return { code, output: output() };
    },
    follow: async () => {
      for (const block of blocksOf(fileOf(page))) await follow(block);
    },
    remove: async () => {
      await Promise.all([...running].map(stopped));
      await database.end();
      await Promise.all([broker.drop(), results.drop()]);
    },
  };
  await database.connect();
  try {
    await migrate(results.url);
  } catch (error) {
    await project.remove();
    throw error;
  }
  return project;

  async function follow({ language, code }: Block): Promise<void> {
    if (language === 'sh')
      for (const command of lines(code)) await (isService(command) ? serve(command) : succeed(command));
    if (language === 'console') for (const step of stepsOf(code)) await compare(step);
    if (language === 'sql') for (const statement of statementsOf(code)) await query(statement);
  }

  function start(command: string): Started {
    const options = { cwd: folder, env, detached: true } as const; // a group of its own: sh starts processes in turn
    const child = spawn('sh', ['-c', `exec 2>&1; ${command}`], { ...options, stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    running.add(child.once('close', () => running.delete(child)));
    return { child, output: () => output };
  }

  async function succeed(command: string): Promise<void> {
    const { code, output } = await project.run(command);
    if (code !== 0) throw new Error(`\`${command}\` ended with ${code}:\n${output}`);
  }

  async function compare({ command, shown }: Step): Promise<void> {
    const { output } = await project.run(command);
    expectShown({ command, shown }, output);
  }

  async function query(statement: string): Promise<void> {
    const { rows } = await database.query(statement);
    if (/^select/i.test(statement) && rows.length === 0) throw new Error(`expected a row of: ${statement}`);
  }

  async function serve(command: string): Promise<void> {
    if (command.endsWith(IN_PLACE)) await Promise.all([...running].map(stopped));
    const { child, output } = start(command);
    const ready = new Promise<void>((resolve, reject) => {
      child.stdout?.on('data', () => / ready$/m.test(output()) && resolve());
      child.once('close', (code) => reject(new Error(`\`${command}\` ended with ${code}:\n${output()}`)));
    });
    await inTime(ready, () => `\`${command}\` was not ready:\n${output()}`);
  }
}

interface Started {
  readonly child: ChildProcess;
  /** All that it has written so far. */
  readonly output: () => string;
}

/** Not by the page's own app, which may need what the page makes first. */
async function migrate(url: string): Promise<void> {
  await using app = new Lovage({ results: url });
  await (await app.resultBackend())?.capabilities.schema?.migrate();
}

async function inTime<T>(work: Promise<T>, failure: () => string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`within ${LIMIT_MS / 1000} s ${failure()}`)), LIMIT_MS);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

function fileOf(page: string): string {
  return path.join(HOW_TO, `${page}.md`);
}

function lines(code: string): readonly string[] {
  return code.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}

function isService(command: string): boolean {
  return /^(?:[A-Z_]+=\S+ )*npx lovage (worker|relay)\b/.test(command);
}

function statementsOf(code: string): readonly string[] {
  return code
    .split(/;\s*$/m)
    .map((statement) => statement.replace(/^\s*--.*\n/gm, '').trim())
    .filter((statement) => statement !== '');
}

async function stopped(child: ChildProcess): Promise<void> {
  const closed = once(child, 'close');
  if (child.exitCode === null && child.signalCode === null) process.kill(-(child.pid as number), 'SIGTERM');
  await closed;
}
