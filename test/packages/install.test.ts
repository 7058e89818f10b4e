import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type IsolatedBroker, isolatedBroker } from '../support/isolated-broker.js';
import { type IsolatedResults, isolatedResults } from '../support/isolated-results.js';
import { type Ended, runLovage, runNode, startWorker } from '../support/lovage-process.js';
import { type PackedProject, REPOSITORY, packedProject, readJson, writeJson } from './packed-project.js';

const NAMES = [
  '@lovage/amqp',
  '@lovage/cli',
  '@lovage/core',
  '@lovage/postgres',
  '@lovage/testing',
  '@lovage/worker',
  'create-lovage',
  'lovage',
];

interface SourceMap {
  readonly sources: readonly string[];
  readonly sourcesContent?: readonly string[];
}

describe('the packed packages, installed outside the repository', () => {
  jest.setTimeout(180_000);
  let project: PackedProject;

  beforeAll(async () => {
    project = await packedProject();
  });

  afterAll(() => project?.remove());

  describe.each(NAMES)('%s', (name) => {
    it('holds what it needs, and no more', () => {
      const { files } = packed(name);
      expect(files).toEqual(
        expect.arrayContaining(['LICENSE', 'README.md', 'dist/index.d.ts', 'dist/index.js', 'package.json']),
      );
      const stray =
        /^(?!(bin|dist|migrations|templates)\/|LICENSE$|README\.md$|package\.json$)|\.tsbuildinfo$|\.test\.|^(?!templates\/).*(?<!\.d)\.ts$/;
      expect(files.filter((file) => stray.test(file))).toEqual([]);
    });

    it('maps its code to sources that are there', () => {
      const { files } = packed(name);
      for (const file of files.filter((each) => each.endsWith('.js.map'))) {
        const map = readJson(path.join(project.folder, 'node_modules', name, file)) as SourceMap;
        expect({ file, sources: map.sourcesContent?.length }).toEqual({ file, sources: map.sources.length });
      }
    });

    it('is well published, says publint', async () => {
      const { code, stdout, stderr } = await tool('publint/src/cli.js', ['run', packed(name).tarball, '--strict']);
      expect(stdout + stderr).toMatch(/All good!/);
      expect(code).toBe(0);
    });
  });

  it('have types that are right under every module resolution, says attw', async () => {
    const tarballs = NAMES.map((name) => packed(name).tarball);
    const { stdout, stderr } = await runNode([path.join(__dirname, 'attw.mjs'), ...tarballs]);
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toEqual(Object.fromEntries(tarballs.map((tarball) => [tarball, []])));
  });

  it('installs one copy of each, from the tarballs', () => {
    const lock = readJson(path.join(project.folder, 'package-lock.json')) as {
      readonly packages: Readonly<Record<string, { readonly resolved?: string }>>;
    };
    const ours = Object.entries(lock.packages).filter(([where]) =>
      /node_modules\/(@lovage\/[^/]+|lovage|create-lovage)$/.test(where),
    );
    expect(ours.map(([where]) => where.replace('node_modules/', '')).sort()).toEqual(NAMES);
    for (const [, { resolved }] of ours) expect(resolved).toMatch(/^file:tarballs\//);
  });

  it('gives ES modules and CommonJS the same exports, by name', async () => {
    const file = path.join(project.folder, 'names.mjs');
    writeFileSync(
      file,
      `import { Arg, Lovage, Returns, Task, TaskContext, Worker, isLovageError } from 'lovage';
       import * as imported from 'lovage';
       import { createRequire } from 'node:module';
       const required = createRequire(import.meta.url)('lovage');
       const names = Object.keys(required).filter((name) => name !== 'default');
       const missing = names.filter((name) => imported[name] !== required[name]);
       console.log(JSON.stringify({ missing, all: [Arg, Lovage, Returns, Task, TaskContext, Worker, isLovageError].every(Boolean) }));`,
    );
    const { stdout, stderr } = await runNode([file], { cwd: project.folder });
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toEqual({ missing: [], all: true });
  });

  describe.each(['esm', 'cjs'] as const)('the tutorial as %s', (kind) => {
    let broker: IsolatedBroker;
    let results: IsolatedResults;

    beforeAll(async () => {
      [broker, results] = await Promise.all([isolatedBroker(), isolatedResults()]);
    });

    afterAll(async () => {
      await broker?.drop();
      await results?.drop();
    });

    it.each([
      ['nodenext', ['--module', 'nodenext', '--moduleResolution', 'nodenext']],
      ['bundler', ['--module', 'esnext', '--moduleResolution', 'bundler']],
    ])('type-checks under moduleResolution %s, declarations of libraries included', async (_name, flags) => {
      writeFileSync(path.join(project[kind], 'typed.ts'), TYPED);
      const checked = await tsc(['-p', project[kind], '--noEmit', '--skipLibCheck', 'false', ...flags]);
      expect(checked).toMatchObject({ stdout: '', code: 0 });
    });

    it('imports a task module under Jest', async () => {
      const folder = path.join(project.folder, 'jest', kind);
      mkdirSync(folder, { recursive: true });
      writeFileSync(path.join(folder, 'divide.test.ts'), jestTest(path.join(project[kind], 'math', 'tasks')));
      const config = path.join(folder, 'jest.config.json');
      writeJson(config, {
        transform: { '\\.ts$': [require.resolve('@swc/jest'), swcOptions()] },
        roots: [folder, project[kind]],
      });
      const { code, stderr } = await tool('jest/bin/jest.js', ['--config', config]);
      expect(stderr).toMatch(/1 passed/);
      expect(code).toBe(0);
    });

    it('runs from TypeScript through the command', async () => {
      const cwd = project[kind];
      const send = () => runLovage(['run', 'send.ts'], { bin: project.bin, cwd, env: environment() });
      expectWalkThrough(await walkThrough({ cwd, app: './app.ts', send }));
    });

    it('runs as compiled JavaScript, its caller by plain node', async () => {
      const cwd = path.join(project[kind], 'compiled');
      expect(await tsc(['-p', project[kind], '--noEmit', 'false', '--outDir', cwd])).toMatchObject({
        stdout: '',
        code: 0,
      });
      const send = () => runNode(['send.js'], { cwd, env: environment() });
      expectWalkThrough(await walkThrough({ cwd, app: 'app', send }));
    });

    interface Walk {
      readonly cwd: string;
      readonly app: string;
      readonly send: () => Promise<Ended>;
    }

    async function walkThrough({ cwd, app, send }: Walk): Promise<Ended> {
      const options = { bin: project.bin, cwd, env: environment() };
      expect(await runLovage(['migrate', '-A', app], options)).toMatchObject({ code: 0, stderr: '' });
      const worker = await startWorker(['-A', app], options);
      try {
        const sent = await send();
        expect(await worker.stop()).toBe(0);
        return sent;
      } finally {
        await worker.kill();
      }
    }

    function environment(): NodeJS.ProcessEnv {
      return { LOVAGE_BROKER: broker.url, LOVAGE_RESULTS: results.url };
    }
  });

  describe('create-lovage', () => {
    let broker: IsolatedBroker;
    let results: IsolatedResults;

    beforeAll(async () => {
      [broker, results] = await Promise.all([isolatedBroker(), isolatedResults()]);
    });

    afterAll(async () => {
      await broker?.drop();
      await results?.drop();
    });

    it.each([
      ['typescript', 'esm'],
      ['typescript', 'cjs'],
      ['javascript', 'esm'],
      ['javascript', 'cjs'],
    ])('writes a project in %s, %s, that runs', async (language, modules) => {
      const name = `${language}-${modules}`;
      const flags = [`--${language}`, `--${modules}`, '--no-install'];
      // Inside the project, so that it finds what is installed there.
      const created = await runLovage([name, ...flags], { bin: createLovage(), cwd: project.folder });
      expect(created).toMatchObject({ code: 0, stderr: '' });
      const cwd = path.join(project.folder, name);
      expect(existsSync(path.join(cwd, '.gitignore'))).toBe(true); // npm packs none under that name
      const env = { LOVAGE_BROKER: broker.url, LOVAGE_RESULTS: results.url };
      const options = { bin: project.bin, cwd, env };
      if (language === 'typescript') expect(await tsc(['-p', cwd])).toMatchObject({ stdout: '', code: 0 });
      expect(await runLovage(['migrate'], options)).toMatchObject({ code: 0, stderr: '' });
      const worker = await startWorker([], options);
      try {
        const called = await runLovage(['call', 'math.divide', '1', '2', '--wait'], options);
        expect(called).toEqual({ code: 0, stdout: '0.5\n', stderr: '' });
        const script = language === 'typescript' ? 'send.ts' : 'send.js';
        expect(await runLovage(['run', script], options)).toEqual({ code: 0, stdout: '0.5\n', stderr: '' });
        expect(await worker.stop()).toBe(0);
      } finally {
        await worker.kill();
      }
    });

    function createLovage(): string {
      return path.join(project.folder, 'node_modules', '.bin', 'create-lovage');
    }
  });

  function packed(name: string) {
    const found = project.packages.find((each) => each.name === name);
    if (found === undefined) throw new Error(`expected ${name} to have been packed`);
    return found;
  }

  function tsc(args: readonly string[]): Promise<Ended> {
    return tool('typescript/bin/tsc', args);
  }

  /** A tool of the repository, at work in the project. */
  function tool(file: string, args: readonly string[]): Promise<Ended> {
    const bin = path.join(REPOSITORY, 'node_modules', file);
    expect(existsSync(bin)).toBe(true);
    return runNode([bin, ...args], { cwd: project.folder });
  }
});

/** What the declarations must still know once they are packed. */
const TYPED = `
import type { AsyncResult } from 'lovage';
import { app } from './app.js';
import { Divide } from './math/tasks.js';

export const result: Promise<AsyncResult<number>> = app.task(Divide).delay(1, 2);
// @ts-expect-error -- a text is no number
export const wrongArgument = app.task(Divide).delay(1, '2');
// @ts-expect-error -- the result is a number
export const wrongResult: Promise<AsyncResult<string>> = app.task(Divide).delay(1, 2);
`;

function expectWalkThrough({ code, stdout, stderr }: Ended): void {
  expect(stderr).toBe('');
  expect(stdout).toMatch(/^sent .*\nPENDING\nPENDING\nSUCCESS 0\.5\nFAILURE\ntrue RangeError: division by zero\n/s);
  expect(code).toBe(0);
}

function jestTest(tasks: string): string {
  return `
    import { Lovage } from 'lovage';
    import { Divide } from ${JSON.stringify(tasks)};
    it('divides', async () => {
      const app = new Lovage({ broker: 'memory:', results: 'memory:' }).register(Divide).testing({ mode: 'inline' });
      const result = await app.task(Divide).delay(1, 2);
      expect(await result.get()).toBe(0.5);
      await app.stop();
    });`;
}

function swcOptions(): object {
  return {
    swcrc: false,
    jsc: {
      target: 'es2022',
      keepClassNames: true,
      parser: { syntax: 'typescript', decorators: true },
      transform: { legacyDecorator: true, decoratorMetadata: true },
    },
    module: { type: 'commonjs' },
  };
}
