import { join } from 'node:path';
import { tempTree } from '../../test/temp-tree.js';
import { loadApp } from './load-app.js';
import { nativeLoader } from './module-loader.js';

const LOVAGE = JSON.stringify(join(__dirname, 'lovage'));

const typescript = (text: string): string => `import { Lovage } from ${LOVAGE};\n${text}`;
const APP = typescript("export const app = new Lovage({ name: 'app' });");

/** The name of the app found and its file, relative to the folder. */
async function load(cwd: string, spec: string): Promise<readonly [string, string]> {
  const { app, file } = await loadApp(spec, { cwd, loader: nativeLoader });
  return [(await app.settings()).name, file.slice(cwd.length + 1)];
}

const refused = (message: string) => ({ code: 'LOVAGE_APP_NOT_FOUND', message });

describe('the file', () => {
  test('a path, with or without its extension', async () => {
    const cwd = tempTree({
      'app.ts': APP,
      'src/shop.cjs': `exports.app = new (require(${LOVAGE}).Lovage)({ name: 'shop' })`,
    });
    expect(await load(cwd, './app.ts')).toEqual(['app', 'app.ts']);
    expect(await load(cwd, 'app')).toEqual(['app', 'app.ts']);
    expect(await load(cwd, join(cwd, 'app.ts'))).toEqual(['app', 'app.ts']);
    expect(await load(cwd, 'src/shop')).toEqual(['shop', 'src/shop.cjs']);
  });

  test('X.ts, then X/index, then X/app; TypeScript before JavaScript', async () => {
    const named = (name: string): string => typescript(`export const app = new Lovage({ name: '${name}' });`);
    const cwd = tempTree({
      'a.ts': named('file'),
      'a.js': 'throw new Error()',
      'a/index.ts': named('index'),
      'b/index.ts': named('index'),
      'b/app.ts': named('app'),
      'c/app.ts': named('app'),
    });
    expect(await load(cwd, 'a')).toEqual(['file', 'a.ts']);
    expect(await load(cwd, './b/')).toEqual(['index', 'b/index.ts']);
    expect(await load(cwd, 'c')).toEqual(['app', 'c/app.ts']);
    expect(await load(join(cwd, 'c'), '.')).toEqual(['app', 'app.ts']);
  });

  test('a missing one, with all that was tried', async () => {
    const cwd = tempTree({});
    const all = '{ts,mts,cts,js,mjs,cjs}';
    await expect(load(cwd, './shop:app')).rejects.toMatchObject(
      refused(
        `no app at './shop': none of these files exists:\n  ${cwd}/shop\n  ${cwd}/shop.${all}\n  ${cwd}/shop/index.${all}\n  ${cwd}/shop/app.${all}\nGo to the app's folder, or name its module: -A ./src/app.ts`,
      ),
    );
  });

  test.each(['', ':app'])('the spec %p is refused', async (spec) => {
    await expect(load('/', spec)).rejects.toMatchObject(
      refused(`expected -A to be a path such as ./app.ts or ./app.ts:app, got ${JSON.stringify(spec)}`),
    );
  });
});

describe('the export', () => {
  test('the one named', async () => {
    const cwd = tempTree({ 'a.ts': typescript("export const app = 1, shop = new Lovage({ name: 'shop' });") });
    expect(await load(cwd, 'a.ts:shop')).toEqual(['shop', 'a.ts']);
    await expect(load(cwd, 'a.ts:app')).rejects.toMatchObject(
      refused(`expected the export 'app' of ${cwd}/a.ts to be a Lovage app, got 1`),
    );
    await expect(load(cwd, 'a.ts:other')).rejects.toMatchObject(
      refused(`${cwd}/a.ts has no export 'other'; it exports app (1), shop (a Lovage app)`),
    );
  });

  test('else app, else default, else the only app', async () => {
    const cwd = tempTree({
      'a.ts': typescript(
        "export const app = new Lovage({ name: 'app' }); export default new Lovage({ name: 'default' });",
      ),
      'b.ts': typescript(
        "export const app = {}; export const x = new Lovage(); export default new Lovage({ name: 'default' });",
      ),
      'c.ts': typescript("export const app = {}; export const x = new Lovage({ name: 'only' }); export { x as y };"),
    });
    expect((await load(cwd, 'a'))[0]).toBe('app');
    expect((await load(cwd, 'b'))[0]).toBe('default');
    expect((await load(cwd, 'c'))[0]).toBe('only');
  });

  test('of CommonJS: module.exports, exports.default, exports that Node cannot guess', async () => {
    const cwd = tempTree({
      'whole.cjs': `module.exports = new (require(${LOVAGE}).Lovage)({ name: 'whole' })`,
      'default.cjs': `exports.__esModule = true; exports.default = new (require(${LOVAGE}).Lovage)({ name: 'default' })`,
      'named.cjs': `exports['a' + 'pp'] = new (require(${LOVAGE}).Lovage)({ name: 'named' })`,
    });
    expect((await load(cwd, 'whole'))[0]).toBe('whole');
    expect((await load(cwd, 'default'))[0]).toBe('default');
    expect((await load(cwd, 'named'))[0]).toBe('named');
    // Node's import() of CommonJS whose names it cannot guess gives the default export only.
    const blind = async (file: string) => ({ default: (await nativeLoader(file))['default'] });
    const { app } = await loadApp('named', { cwd, loader: blind });
    expect((await app.settings()).name).toBe('named');
    expect((await loadApp('default', { cwd, loader: blind })).app).toBeDefined();
  });

  test('none, or several', async () => {
    const cwd = tempTree({
      'none.ts': 'export const a = 1; export function run() {}',
      'empty.ts': 'export {};',
      'several.ts': typescript('export const a = new Lovage(), b = new Lovage();'),
    });
    await expect(load(cwd, 'none')).rejects.toMatchObject(
      refused(
        `${cwd}/none.ts exports no Lovage app; it exports a (1), run (function run). Write: export const app = new Lovage({ … })`,
      ),
    );
    await expect(load(cwd, 'empty')).rejects.toMatchObject(
      refused(`${cwd}/empty.ts exports no Lovage app; it exports nothing. Write: export const app = new Lovage({ … })`),
    );
    await expect(load(cwd, './several')).rejects.toMatchObject(
      refused(`${cwd}/several.ts exports several Lovage apps (a, b); say which: -A ./several:a`),
    );
  });
});

test('an app module that throws is named, with its message and the original', async () => {
  const cwd = tempTree({ 'app.ts': "throw new TypeError('no ledger')", 'syntax.cjs': "import 'node:fs';" });
  await expect(load(cwd, 'app')).rejects.toMatchObject({
    ...refused(`cannot import the app module ${cwd}/app.ts: TypeError: no ledger`),
    cause: new TypeError('no ledger'),
  });
  await expect(load(cwd, 'syntax')).rejects.toMatchObject(
    refused(
      `cannot import the app module ${cwd}/syntax.cjs: SyntaxError: Cannot use import statement outside a module\n` +
        '  Node read the file as CommonJS: set "type": "module" in its package.json, name it .mjs, or compile it to CommonJS.',
    ),
  );
});
