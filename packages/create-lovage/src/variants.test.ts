import { readFileSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { runLovage, runNode } from '../../../test/support/lovage-process.js';
import { tempTree } from '../../core/test/temp-tree.js';
import { runCreate } from '../test/run-create.js';

const REPOSITORY = path.join(__dirname, '..', '..', '..');
const TSC = path.join(REPOSITORY, 'node_modules', 'typescript', 'bin', 'tsc');
const LISTED = /^TASK +QUEUE +PARAMS +CLASS +OPTIONS *\nmath\.divide +lovage +x, y +Divide *\n$/;

interface Manifest {
  readonly type?: string;
  readonly scripts?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

describe.each([
  ['typescript', 'esm'],
  ['typescript', 'cjs'],
  ['javascript', 'esm'],
  ['javascript', 'cjs'],
])('a project in %s, %s', (language, modules) => {
  jest.setTimeout(60_000);
  let folder: string;

  beforeEach(async () => {
    const cwd = tempTree({});
    await runCreate(['app', `--${language}`, `--${modules}`, '--no-install'], { cwd });
    folder = path.join(cwd, 'app');
    symlinkSync(path.join(REPOSITORY, 'node_modules'), path.join(folder, 'node_modules'));
  });

  it('has its task found by the lovage command', async () => {
    const { code, stdout, stderr } = await runLovage(['list', '-A', './app'], { cwd: folder, env: NO_SERVICES });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(LISTED);
  });

  it('depends on this version of lovage, and on the TypeScript of this repository', () => {
    const { version } = manifestOf(path.join(REPOSITORY, 'packages', 'lovage')) as { readonly version: string };
    const { devDependencies = {} } = manifestOf(REPOSITORY);
    const { type, scripts, dependencies, ...written } = manifestOf(folder);
    expect({ type, scripts, dependencies }).toEqual({
      type: modules === 'esm' ? 'module' : 'commonjs',
      scripts: { dev: 'lovage dev' },
      dependencies: { lovage: `^${version}` },
    });
    const { typescript, '@types/node': types } = devDependencies;
    expect(written.devDependencies).toEqual(
      language === 'typescript' ? { typescript, '@types/node': types } : undefined,
    );
  });

  it('names no server, and leaves no field of a template open', () => {
    const source = language === 'typescript' ? 'ts' : 'js';
    for (const file of ['README.md', `app.${source}`, `send.${source}`, `math/tasks.${source}`, '.gitignore']) {
      expect(readFileSync(path.join(folder, file), 'utf8')).not.toMatch(/\{\{|localhost/);
    }
  });

  if (language === 'typescript') {
    it('is good TypeScript, and the same once it is compiled', async () => {
      expect(await runNode([TSC, '-p', folder])).toEqual({ code: 0, stdout: '', stderr: '' });
      const { stdout } = await runLovage(['list', '-A', './dist/app.js'], { cwd: folder, env: NO_SERVICES });
      expect(stdout).toMatch(LISTED);
    });
  }
});

const NO_SERVICES = { LOVAGE_BROKER: undefined, LOVAGE_RESULTS: undefined };

function manifestOf(folder: string): Manifest {
  return JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8')) as Manifest;
}
