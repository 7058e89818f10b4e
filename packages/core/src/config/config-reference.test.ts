import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CONFIG_PATHS, configKey, envNameOf } from './config-keys.js';
import { readLayer } from './config-layers.js';
import { renderConfigReference } from './config-reference.js';

const PAGE = join(__dirname, '../../../../docs/reference/configuration.md');
const [BEGIN, END] = ['<!-- prettier-ignore-start -->\n\n', '\n\n<!-- prettier-ignore-end -->'];

test('docs/reference/configuration.md holds the table of keys as it is', () => {
  const page = readFileSync(PAGE, 'utf8');
  const [start, end] = [page.indexOf(BEGIN) + BEGIN.length, page.indexOf(END)];
  expect([page.includes(BEGIN), page.includes(END)]).toEqual([true, true]);
  if (process.env['UPDATE_DOCS'] === '1') {
    writeFileSync(PAGE, page.slice(0, start) + renderConfigReference() + page.slice(end));
    return;
  }
  expect(page.slice(start, end)).toBe(renderConfigReference());
});

test.each([
  ['name', 'LOVAGE_NAME'],
  ['results.maxSize', 'LOVAGE_RESULTS_MAX_SIZE'],
  ['broker.tls.caFile', 'LOVAGE_BROKER_TLS_CA_FILE'],
  ['defaultQueue', 'LOVAGE_DEFAULT_QUEUE'],
])('%s is %s in the environment', (path, name) => {
  expect(envNameOf(path, 'LOVAGE')).toBe(name);
});

test('every default that is written can be written by users too, and means the same', () => {
  for (const path of CONFIG_PATHS) {
    const { defaultText, default: value } = configKey(path);
    if (defaultText === null) continue;
    const name = envNameOf(path, 'LOVAGE');
    const layer = readLayer({ [name]: defaultText }, { namespace: 'LOVAGE', origin: 'test' });
    expect(layer.values.get(path)).toEqual(value);
  }
});

test('no two keys share a name in the environment', () => {
  expect(new Set(CONFIG_PATHS.map((path) => envNameOf(path, 'LOVAGE'))).size).toBe(CONFIG_PATHS.length);
});
