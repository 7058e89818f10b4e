import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { tempTree } from '../../test/temp-tree.js';
import { type DiscoveryRequest, discover } from './discovery.js';
import { nativeLoader } from './module-loader.js';

const TASK = JSON.stringify(join(__dirname, '../task/task'));

/** A module that exports a task of each class name, named alike on the wire. */
const typescript = (...classes: string[]): string =>
  `import { Task } from ${TASK};\n${classes.map((name) => `@Task() export class ${name} { run() {} }`).join('\n')}`;

const commonjs = (...classes: string[]): string =>
  `const { Task } = require(${TASK});\n${classes.map((name) => `class ${name} { run() {} }\nTask()(${name});\nexports.${name} = ${name};`).join('\n')}`;

/** What discovery finds, as `<class> <file>`, and the files that it imported. */
async function find(request: Partial<DiscoveryRequest> & { readonly from: string }) {
  const imported: string[] = [];
  const tasks = await discover({ packages: ['billing'], related: 'tasks', ...request }, (file) => {
    imported.push(file);
    return nativeLoader(file);
  });
  return { tasks: tasks.map(({ taskClass, file }) => `${taskClass.name} ${file}`), imported };
}

describe('which module', () => {
  test('from a .ts file the .ts, from a .js file the .js: twins are one', async () => {
    const folder = tempTree({ 'billing/tasks.ts': typescript('A'), 'billing/tasks.js': commonjs('A') });
    const [ts, js] = [join(folder, 'billing/tasks.ts'), join(folder, 'billing/tasks.js')];
    expect(await find({ from: join(folder, 'app.ts') })).toEqual({ tasks: [`A ${ts}`], imported: [ts] });
    expect(await find({ from: join(folder, 'app.js') })).toEqual({ tasks: [`A ${js}`], imported: [js] });
    expect((await find({ from: join(folder, 'app.mjs') })).imported).toEqual([js]);
    expect((await find({ from: join(folder, 'app.cts') })).imported).toEqual([ts]);
    expect((await find({ from: folder })).imported).toEqual([js]);
  });

  test('the other extension, if the own one is absent', async () => {
    const folder = tempTree({ 'billing/tasks.cjs': commonjs('A'), 'shipping/tasks.ts': typescript('B') });
    const from = pathToFileURL(join(folder, 'app.ts')).href;
    expect((await find({ from, packages: ['billing', './shipping'] })).tasks).toEqual([
      `A ${join(folder, 'billing/tasks.cjs')}`,
      `B ${join(folder, 'shipping/tasks.ts')}`,
    ]);
    expect((await find({ from: join(folder, 'app.js'), packages: ['shipping'] })).tasks).toHaveLength(1);
  });

  test('<related>/index, after <related> itself; another related; a nested and a parent folder', async () => {
    const folder = tempTree({
      'app/billing/tasks/index.ts': typescript('A'),
      'app/x/mail/jobs.ts': typescript('B'),
      'other/jobs.ts': typescript('C'),
    });
    const from = join(folder, 'app/app.ts');
    expect((await find({ from })).tasks).toEqual([`A ${join(folder, 'app/billing/tasks/index.ts')}`]);
    expect((await find({ from, packages: ['./x/mail', '../other'], related: 'jobs' })).tasks).toEqual([
      `B ${join(folder, 'app/x/mail/jobs.ts')}`,
      `C ${join(folder, 'other/jobs.ts')}`,
    ]);
  });

  test('a package named twice is imported once', async () => {
    const folder = tempTree({ 'billing/tasks.ts': typescript('A') });
    const { tasks, imported } = await find({ from: join(folder, 'app.ts'), packages: ['billing', './billing/'] });
    expect([tasks.length, imported.length]).toEqual([1, 1]);
  });
});

describe('which classes', () => {
  test('exported ones that carry @Task, by any name, each once', async () => {
    const folder = tempTree({
      'billing/tasks.ts': [
        typescript('A', 'B'),
        '@Task() class Hidden { run() {} }',
        'export class Plain { run() {} }',
        'export class Inherits extends A {}',
        'export const answer = 42, nothing = null;',
        'export { A as Alias };',
        '@Task() class Hidden2 { run() {} }',
        'export default Hidden2;',
      ].join('\n'),
      'shipping/tasks.ts': "export { A } from '../billing/tasks';",
    });
    const { tasks } = await find({ from: join(folder, 'app.ts'), packages: ['billing', 'shipping'] });
    const file = join(folder, 'billing/tasks.ts');
    expect([...tasks].sort()).toEqual([`A ${file}`, `B ${file}`, `Hidden2 ${file}`]);
  });

  test('those in the default export of a CommonJS module that names none', async () => {
    const folder = tempTree({
      'billing/tasks.cjs': `module.exports = (() => { const exports = {}; ${commonjs('A')}; return exports; })();`,
    });
    const tasks = await discover({ packages: ['billing'], related: 'tasks', from: folder }, async (file) => ({
      default: (await nativeLoader(file))['default'],
    }));
    expect(tasks.map(({ taskClass }) => taskClass.name)).toEqual(['A']);
  });

  test('a module without any is told, and no error', async () => {
    const folder = tempTree({ 'billing/tasks.ts': `import { Task } from ${TASK}; @Task() class Hidden { run() {} }` });
    const warnings: string[] = [];
    const { tasks } = await find({ from: join(folder, 'app.ts'), warn: (message) => warnings.push(message) });
    expect(tasks).toEqual([]);
    expect(warnings).toEqual([
      `the task module ${join(folder, 'billing/tasks.ts')} exports no task: only classes that are exported and carry @Task are found`,
    ]);
  });
});

describe('errors', () => {
  test('every package without a task module is named, before anything is imported', async () => {
    const folder = tempTree({
      'billing/tasks.ts': "throw new Error('imported')",
      'mail/jobs.ts': '',
      'x/y/tasks.ts': '',
    });
    await expect(
      find({ from: join(folder, 'app.ts'), packages: ['billing', 'mail', 'shipping', 'x.y'] }),
    ).rejects.toMatchObject({
      code: 'LOVAGE_DISCOVERY',
      message: [
        `package 'mail' has no task module 'tasks': tried ${folder}/mail/tasks.{ts,mts,cts,js,mjs,cjs} and ${folder}/mail/tasks/index.{ts,mts,cts,js,mjs,cjs}`,
        `package 'shipping' not found: there is no folder ${folder}/shipping`,
        `package 'x.y' not found: there is no folder ${folder}/x.y; did you mean 'x/y'?`,
      ].join('\n'),
    });
  });

  test('a module that throws is named, with its message and the original', async () => {
    const folder = tempTree({ 'billing/tasks.ts': "throw new TypeError('no ledger')" });
    await expect(find({ from: join(folder, 'app.ts') })).rejects.toMatchObject({
      code: 'LOVAGE_DISCOVERY',
      message: `cannot import the task module ${folder}/billing/tasks.ts: TypeError: no ledger`,
      cause: new TypeError('no ledger'),
    });
  });

  test('so is a module that throws something that is no error, and one that is not JavaScript', async () => {
    const folder = tempTree({ 'a/tasks.ts': "throw 'up'", 'b/tasks.cjs': 'export const x = 1;' });
    await expect(find({ from: join(folder, 'app.ts'), packages: ['a'] })).rejects.toThrow(
      `cannot import the task module ${folder}/a/tasks.ts: it threw "up"`,
    );
    await expect(find({ from: join(folder, 'app.ts'), packages: ['b'] })).rejects.toThrow(
      `cannot import the task module ${folder}/b/tasks.cjs: SyntaxError: `,
    );
  });

  test.each(['', 'https://host/app.js', 'node:fs', 'file://host/app.ts', undefined])(
    'from %p is refused',
    async (from) => {
      await expect(find({ from: from as string })).rejects.toMatchObject({
        code: 'LOVAGE_USAGE',
        message: expect.stringContaining(
          'expected from to be a file: URL or a path (import.meta.url, __filename), got',
        ),
      });
    },
  );
});
