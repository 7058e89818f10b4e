import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runMain } from '../test/run-main.js';
import { renderCliReference } from './cli-reference.js';

const PAGE = join(__dirname, '../../../docs/reference/cli.md');
const [BEGIN, END] = ['<!-- prettier-ignore-start -->\n\n', '\n\n<!-- prettier-ignore-end -->'];

test('docs/reference/cli.md holds the commands and exit codes as they are', async () => {
  const page = readFileSync(PAGE, 'utf8');
  expect([page.includes(BEGIN), page.includes(END)]).toEqual([true, true]);
  const [start, end] = [page.indexOf(BEGIN) + BEGIN.length, page.indexOf(END)];
  const reference = await renderCliReference(
    async (command) => (await runMain([...command.split(' '), '--help'])).stdout,
  );
  if (process.env['UPDATE_DOCS'] === '1') {
    writeFileSync(PAGE, page.slice(0, start) + reference + page.slice(end));
    return;
  }
  expect(page.slice(start, end)).toBe(reference);
});
