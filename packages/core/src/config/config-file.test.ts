import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { tempTree } from '../../test/temp-tree.js';
import { nativeLoader } from '../app/module-loader.js';
import { readConfigFile } from './config-file.js';

const read = (path: string, from?: string) =>
  readConfigFile(path, { loader: nativeLoader, ...(from === undefined ? {} : { from }) });

test('JSON, TypeScript and CommonJS, by default or named exports', async () => {
  const folder = tempTree({
    'a.json': '{"broker": "amqp://a"}',
    'b.ts': "export default { broker: 'amqp://b' };",
    'c.cjs': "module.exports = { broker: 'amqp://c' };",
    'd.cjs': "exports.__esModule = true; exports.default = { broker: 'amqp://d' };",
  });
  const from = pathToFileURL(join(folder, 'app.ts')).href;
  expect(await read('a.json', from)).toEqual({ broker: 'amqp://a' });
  expect(await read('./b.ts', from)).toEqual({ broker: 'amqp://b' });
  expect(await read(join(folder, 'c.cjs'))).toEqual({ broker: 'amqp://c' });
  expect(await read(join(folder, 'd.cjs'))).toEqual({ broker: 'amqp://d' });
});

test('named exports alone are the object', async () => {
  const folder = tempTree({ 'a.ts': "export const SHOP_BROKER = 'amqp://a';" });
  expect(await read(join(folder, 'a.ts'))).toEqual({ SHOP_BROKER: 'amqp://a' });
});

test('what cannot be read is named', async () => {
  const folder = tempTree({ 'bad.json': '{', 'list.json': '[]', 'throws.ts': "throw new TypeError('no secrets')" });
  const code = 'LOVAGE_CONFIG';
  await expect(read('absent.json', folder)).rejects.toMatchObject({
    code,
    message: `there is no configuration file ${folder}/absent.json`,
  });
  await expect(read('bad.json', folder)).rejects.toMatchObject({
    code,
    message: expect.stringContaining(`cannot read the configuration file ${folder}/bad.json: `),
  });
  await expect(read('list.json', folder)).rejects.toMatchObject({
    code,
    message: `expected ${folder}/list.json to be an object of settings, such as { broker: 'amqp://localhost' }, got an array of 0`,
  });
  await expect(read('throws.ts', folder)).rejects.toMatchObject({
    code,
    message: `cannot import the configuration file ${folder}/throws.ts: TypeError: no secrets`,
    cause: new TypeError('no secrets'),
  });
});
