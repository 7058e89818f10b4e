import { join } from 'node:path';
import { tempTree } from '../../test/temp-tree.js';
import { loadPackage, nativeLoader } from './module-loader.js';

describe('nativeLoader, in this very Jest', () => {
  test('imports TypeScript as Jest transforms it', async () => {
    const folder = tempTree({ 'a.ts': 'export const answer: number = 42; export default class Named {}' });
    const exports = await nativeLoader(join(folder, 'a.ts'));
    expect(exports['answer']).toBe(42);
    expect((exports['default'] as { name: string }).name).toBe('Named');
  });

  test('imports CommonJS, whose whole is the default export', async () => {
    const folder = tempTree({ 'a b#%.cjs': 'exports.answer = 42', 'single.cjs': 'module.exports = 42' });
    expect(await nativeLoader(join(folder, 'a b#%.cjs'))).toEqual({ answer: 42, default: { answer: 42 } });
    expect(await nativeLoader(join(folder, 'single.cjs'))).toEqual({ default: 42 });
  });

  test('shares its modules with the test', async () => {
    const exports = await nativeLoader(join(__dirname, 'module-loader.ts'));
    expect(exports['nativeLoader']).toBe(nativeLoader);
  });

  test("passes on a module's own error", async () => {
    const folder = tempTree({
      'throws.ts': "throw new TypeError('no ledger')",
      'needs.ts': "import { x } from './absent'; export const y = x;",
    });
    await expect(nativeLoader(join(folder, 'throws.ts'))).rejects.toThrow(new TypeError('no ledger'));
    await expect(nativeLoader(join(folder, 'needs.ts'))).rejects.toThrow("Cannot find module './absent'");
  });
});

describe('loadPackage', () => {
  test('resolves with the exports of an installed package', async () => {
    expect(await loadPackage('ms')).toMatchObject({ default: expect.any(Function) });
    expect(await loadPackage('uuidv7')).toMatchObject({ uuidv7: expect.any(Function) });
  });

  test('says how to install one that is missing', async () => {
    await expect(loadPackage('@lovage-test/absent')).rejects.toMatchObject({
      code: 'LOVAGE_DRIVER',
      message: 'the package @lovage-test/absent is not installed: npm install @lovage-test/absent',
      cause: { code: 'MODULE_NOT_FOUND' },
    });
  });

  test('keeps the cause of one that cannot be imported', async () => {
    const folder = tempTree({ 'broken.cjs': "throw new RangeError('too old')" });
    await expect(loadPackage(join(folder, 'broken.cjs'))).rejects.toMatchObject({
      code: 'LOVAGE_DRIVER',
      message: `cannot import the package ${join(folder, 'broken.cjs')}: RangeError: too old`,
      cause: new RangeError('too old'),
    });
  });
});
