import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { tempTree } from '../../core/test/temp-tree.js';
import { type Ran, type RunOptions, runCreate } from '../test/run-create.js';

const CTRL_C = '\x03';
const CTRL_D = '\x04';
const TYPESCRIPT = ['.gitignore', 'README.md', 'app.ts', 'math', 'package.json', 'send.ts', 'tsconfig.json'];
const JAVASCRIPT = ['.gitignore', 'README.md', 'app.js', 'math', 'package.json', 'send.js'];

let cwd: string;
beforeEach(() => {
  cwd = tempTree({});
});

const create = (argv: readonly string[], options: Partial<RunOptions> = {}): Promise<Ran> =>
  runCreate(argv, { cwd, ...options });

function manifestOf(folder: string): { readonly name: string; readonly type: string } {
  return JSON.parse(readFileSync(path.join(cwd, folder, 'package.json'), 'utf8')) as ReturnType<typeof manifestOf>;
}

/** What says which variant was written. */
function variantOf(folder: string): object {
  const isTypeScript = existsSync(path.join(cwd, folder, 'tsconfig.json'));
  return { language: isTypeScript ? 'typescript' : 'javascript', type: manifestOf(folder).type };
}

describe('create-lovage', () => {
  it('shows its help', async () => {
    const { code, stdout, stderr } = await create(['--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const option of ['typescript', 'javascript', 'esm', 'cjs', 'yes', 'no-install', 'help', 'version']) {
      expect(stdout).toContain(`--${option}`);
    }
    expect(readdirSync(cwd)).toEqual([]);
  });

  it('shows its version', async () => {
    expect(await create(['--version'])).toEqual({ code: 0, stdout: '0.1.0\n', stderr: '' });
  });

  it('says what is wrong with a command line, with its usage', async () => {
    const { code, stdout, stderr } = await create(['--esm', '--cjs']);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^create-lovage: expected one of --esm and --cjs, got both\n\nnpm create lovage \[folder\]/);
    expect(readdirSync(cwd)).toEqual([]);
  });

  describe('without a terminal', () => {
    it('asks nothing: TypeScript, ES modules, lovage-app', async () => {
      const { code, stdout, stderr } = await create(['--no-install']);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(stdout).toBe(
        `Written to ${path.join(cwd, 'lovage-app')}: .gitignore, README.md, app.ts, math/tasks.ts, package.json, send.ts, tsconfig.json

Next:
  cd lovage-app
  npm install
  npx lovage dev

and in another terminal:
  cd lovage-app
  npx lovage call math.divide 1 2 --wait
`,
      );
      expect(readdirSync(path.join(cwd, 'lovage-app'))).toEqual(TYPESCRIPT);
      expect(readdirSync(path.join(cwd, 'lovage-app', 'math'))).toEqual(['tasks.ts']);
    });

    it('asks nothing where flags have said half of it', async () => {
      expect(await create(['app', '--no-install', '--javascript'])).toMatchObject({ code: 0 });
      expect(variantOf('app')).toEqual({ language: 'javascript', type: 'module' });
    });
  });

  describe('on a terminal', () => {
    it.each([
      ['\r\r', 'typescript', 'module'],
      ['javascript\rcjs\r', 'javascript', 'commonjs'],
      ['js\rES\r', 'javascript', 'module'],
      ['T\rcommon\r', 'typescript', 'commonjs'],
      ['python\rj\r\r', 'javascript', 'module'],
    ])('takes the answers %j', async (typed, language, type) => {
      expect(await create(['app', '--no-install'], { typed })).toMatchObject({ code: 0, stderr: '' });
      expect(variantOf('app')).toEqual({ language, type });
    });

    it('asks two questions, says the defaults, and asks again for what it does not know', async () => {
      const { stdout } = await create(['app', '--no-install'], { typed: 'python\r\r\r' });
      expect(stdout).toContain('Language: TypeScript or JavaScript? (typescript) ');
      expect(stdout).toContain('Expected typescript or javascript, got "python".\n');
      expect(stdout).toContain('Modules: ES modules or CommonJS? (esm) ');
      expect(stdout.match(/\? \(/g)).toHaveLength(3);
    });

    it('asks only what flags have not said', async () => {
      const { stdout } = await create(['app', '--no-install', '--javascript'], { typed: 'cjs\r' });
      expect(stdout).not.toContain('Language');
      expect(variantOf('app')).toEqual({ language: 'javascript', type: 'commonjs' });
    });

    it.each([[['--yes']], [['--typescript', '--esm']]])('asks nothing after %j', async (flags) => {
      const { stdout } = await create(['app', '--no-install', ...flags], { typed: '' });
      expect(stdout).toMatch(/^Written to /);
      expect(variantOf('app')).toEqual({ language: 'typescript', type: 'module' });
    });

    it.each([
      ['Ctrl-C at the first question', CTRL_C],
      ['Ctrl-C at the second', `js\r${CTRL_C}`],
      ['Ctrl-C in the middle of an answer', `j${CTRL_C}`],
      ['Ctrl-D', CTRL_D],
    ])('%s writes nothing', async (_when, typed) => {
      const { code, stderr } = await create(['app'], { typed });
      expect({ code, stderr }).toEqual({ code: 130, stderr: 'create-lovage: nothing was written\n' });
      expect(readdirSync(cwd)).toEqual([]);
    });
  });

  describe('the folder', () => {
    it('may be this one', async () => {
      const { stdout } = await create(['.', '--no-install', '--javascript']);
      expect(stdout).not.toContain('cd ');
      expect(readdirSync(cwd)).toEqual(JAVASCRIPT);
      expect(manifestOf('.').name).toMatch(/^lovage-test-[a-z0-9-]+$/);
    });

    it('may be deep and have a name that is none for npm', async () => {
      const { stdout } = await create(['deep/My App', '--no-install']);
      expect(stdout).toContain('  cd "deep/My App"\n');
      expect(manifestOf('deep/My App').name).toBe('my-app');
      expect(readFileSync(path.join(cwd, 'deep/My App/app.ts'), 'utf8')).toContain("new Lovage({ name: 'my-app' })");
    });

    it('may have other files, which are left alone', async () => {
      cwd = tempTree({ LICENSE: 'mine', 'math/other.ts': 'mine' });
      expect(await create(['.', '--no-install'])).toMatchObject({ code: 0 });
      expect(readdirSync(cwd).sort()).toEqual([...TYPESCRIPT, 'LICENSE'].sort());
      expect(readFileSync(path.join(cwd, 'math/other.ts'), 'utf8')).toBe('mine');
    });

    it('is refused if it has files that would be overwritten', async () => {
      cwd = tempTree({ 'app/package.json': '{}', 'app/math/tasks.ts': 'mine', 'app/notes': 'mine' });
      symlinkSync('nowhere', path.join(cwd, 'app', 'send.ts'));
      const { code, stdout, stderr } = await create(['app']);
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toBe(
        `create-lovage: expected ${path.join(cwd, 'app')} to be free of the files to be written, but it has math/tasks.ts, package.json, send.ts; ` +
          'nothing was written. Give another folder, or move them\n',
      );
      expect(readdirSync(path.join(cwd, 'app'))).toEqual(['math', 'notes', 'package.json', 'send.ts']);
      expect(readFileSync(path.join(cwd, 'app', 'package.json'), 'utf8')).toBe('{}');
    });

    it('is refused if a file is where a folder must be', async () => {
      cwd = tempTree({ 'app/math': 'mine' });
      expect((await create(['app'])).stderr).toContain('but it has math; nothing was written');
      expect(readdirSync(path.join(cwd, 'app'))).toEqual(['math']);
    });

    it.each([
      ['file', 'part of the path is a file (EEXIST)'],
      ['file/app', 'part of the path is a file (ENOTDIR)'],
      ['n'.repeat(300), 'the name is too long (ENAMETOOLONG)'],
    ])('that cannot be made is told: %s', async (folder, reason) => {
      cwd = tempTree({ file: 'mine' });
      const { code, stdout, stderr } = await create([folder]);
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toMatch(/^create-lovage: cannot write to .*; nothing was written\. Give a folder .*\n$/);
      expect(stderr).toContain(`: ${reason}; `);
      expect(readdirSync(cwd)).toEqual(['file']);
    });
  });

  describe('the dependencies', () => {
    /** Stands for all package managers on the PATH: writes down what was asked of it, where. */
    function packageManagers(exitCode = 0): string {
      const script = `#!/bin/sh\necho "$(basename "$0") $*" > installed\nexit ${exitCode}\n`;
      const names = ['npm', 'pnpm', 'yarn', 'bun'];
      const folder = tempTree(Object.fromEntries(names.map((name) => [name, script])));
      for (const name of names) chmodSync(path.join(folder, name), 0o755);
      return folder;
    }

    it.each([
      [undefined, 'npm'],
      ['npm/11.4.0 node/v22.0.0 linux x64 workspaces/false', 'npm'],
      ['pnpm/9.1.0 npm/? node/v22.0.0 linux x64', 'pnpm'],
      ['yarn/1.22.22 npm/? node/v22.0.0 linux x64', 'yarn'],
      ['bun/1.1.0 npm/? node/v22.0.0 linux x64', 'bun'],
      ['evil; rm/1', 'npm'],
    ])('called by %s: %s install', async (agent, manager) => {
      const env = {
        PATH: `${packageManagers()}:${process.env['PATH']}`,
        ...(agent === undefined ? {} : { npm_config_user_agent: agent }),
      };
      const { code, stdout } = await create(['app'], { env });
      expect(code).toBe(0);
      expect(readFileSync(path.join(cwd, 'app', 'installed'), 'utf8')).toBe(`${manager} install\n`);
      expect(stdout).toContain('Next:\n  cd app\n  npx lovage dev\n');
    });

    it('that cannot be installed leave the project', async () => {
      const env = { PATH: `${packageManagers(3)}:${process.env['PATH']}` };
      const { code, stderr } = await create(['app'], { env });
      expect(code).toBe(1);
      expect(stderr).toBe(
        `create-lovage: the project is written to ${path.join(cwd, 'app')}, but \`npm install\` ended with 3; run it there again\n`,
      );
      expect(readdirSync(path.join(cwd, 'app'))).toContain('app.ts');
    });

    it('cannot be installed by a package manager that is not there', async () => {
      mkdirSync(path.join(cwd, 'empty'));
      const { code, stderr } = await create(['app'], { env: { PATH: path.join(cwd, 'empty') } });
      expect(code).toBe(1);
      expect(stderr).toContain('but `npm install` could not be started: spawn npm ENOENT; run it there again\n');
    });
  });
});
