import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { tempTree } from '../../test/temp-tree.js';
import { importFailure } from './import-failure.js';

const message = (error: unknown, file = '/x/tasks.ts'): string =>
  importFailure(error, { code: 'LOVAGE_DISCOVERY', what: 'the task module', file }).message;

/** What Node itself throws at an import of the file, outside Jest. */
function nodesError(file: string): Error {
  const program = `import(process.argv[1]).catch(({ name, message, stack, code }) => console.log(JSON.stringify({ name, message, stack, code })))`;
  return JSON.parse(execFileSync(process.execPath, ['-e', program, file], { encoding: 'utf8' })) as Error;
}

test('names the file, gives the reason and keeps the original', () => {
  const original = new TypeError('no ledger');
  const error = importFailure(original, { code: 'LOVAGE_DISCOVERY', what: 'the task module', file: '/x/tasks.ts' });
  expect(error).toMatchObject({
    code: 'LOVAGE_DISCOVERY',
    message: 'cannot import the task module /x/tasks.ts: TypeError: no ledger',
  });
  expect(error.cause).toBe(original);
});

test.each([
  [undefined, 'it threw undefined'],
  [null, 'it threw null'],
  ['up', 'it threw "up"'],
  [{ message: 'odd' }, 'Error: odd'],
])('a thrown %p', (thrown, reason) => {
  expect(message(thrown)).toBe(`cannot import the task module /x/tasks.ts: ${reason}`);
});

test('says where a syntax error is, also in a module that the file imports', () => {
  const folder = tempTree({ 'tasks.cjs': "require('./dep.cjs')", 'dep.cjs': '\nconst = 3' });
  const file = join(folder, 'tasks.cjs');
  expect(message(nodesError(file), file)).toBe(
    `cannot import the task module ${file}: SyntaxError: Unexpected token '=' (at ${folder}/dep.cjs:2)`,
  );
});

test('says how to find it where Node does not', () => {
  const file = join(tempTree({ 'tasks.mjs': 'export const = 3' }), 'tasks.mjs');
  const original = Object.assign(new SyntaxError("Unexpected token '='"), {
    stack: "SyntaxError: Unexpected token '='",
  });
  expect(message(original, file)).toBe(
    `cannot import the task module ${file}: SyntaxError: Unexpected token '='\n  If the fault is in this file, \`node --check ${file}\` shows the line.`,
  );
});

test('says what TypeScript needs', () => {
  const extension = Object.assign(new TypeError('Unknown file extension ".ts" for /x/tasks.ts'), {
    code: 'ERR_UNKNOWN_FILE_EXTENSION',
  });
  expect(message(extension)).toContain(
    '\n  Node does not import TypeScript by itself: start the app through the lovage command, or compile it and run the .js files.',
  );
  expect(message(new SyntaxError('Invalid or unexpected token'))).toContain(
    "\n  Node's own TypeScript support knows no decorators: start the app through the lovage command, or compile it and run the .js files.",
  );
});

test('says what an ES module needs that is read as CommonJS', () => {
  const folder = tempTree({ 'tasks.cjs': "import 'node:fs';" });
  expect(message(nodesError(join(folder, 'tasks.cjs')), join(folder, 'tasks.cjs'))).toContain(
    `SyntaxError: Cannot use import statement outside a module (at ${folder}/tasks.cjs:1)\n` +
      '  Node read the file as CommonJS: set "type": "module" in its package.json, name it .mjs, or compile it to CommonJS.',
  );
});
