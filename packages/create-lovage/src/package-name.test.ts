import path from 'node:path';
import { packageNameOf } from './package-name.js';

describe('the name of the package in a folder', () => {
  it.each([
    ['my-app', 'my-app'],
    ['shop_2.0', 'shop_2.0'],
    ['My App', 'my-app'],
    ['Café', 'cafe'],
    ['.hidden', 'hidden'],
    ['_x!', 'x'],
    ["it's", 'it-s'],
    ['日本', 'lovage-app'],
    ['...', 'lovage-app'],
    ['node_modules', 'lovage-app'],
    ['Lovage', 'lovage-app'], // npm installs no package into itself
    ['a'.repeat(300), 'a'.repeat(214)],
  ])('%s: %s', (folder, name) => {
    expect(packageNameOf(path.join('/somewhere', folder))).toBe(name);
  });

  it('is there at the root of a disk too', () => {
    expect(packageNameOf(path.parse(process.cwd()).root)).toBe('lovage-app');
  });
});
