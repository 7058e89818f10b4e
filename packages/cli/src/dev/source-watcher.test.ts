import { mkdirSync, mkdtempSync, realpathSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { SourceWatcher } from './source-watcher.js';

let root: string;
let watcher: SourceWatcher;
let changes: (readonly string[])[];
let told: () => void;

beforeEach(() => {
  root = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'lovage-watch-')));
  changes = [];
  told = () => undefined;
  watcher = new SourceWatcher(root, {
    onChange: (files) => {
      changes.push(files.map((file) => path.relative(root, file)).sort());
      told();
    },
    onProblem: (text) => changes.push([text]),
  });
  write('app.ts', '1');
  write('math/tasks.ts', '1');
  watch({ wide: false });
});

afterEach(() => {
  watcher.close();
  rmSync(root, { recursive: true, force: true });
});

function at(name: string): string {
  return path.join(root, name);
}

function write(name: string, text: string): void {
  mkdirSync(path.dirname(at(name)), { recursive: true });
  writeFileSync(at(name), text);
}

function watch({ wide }: { readonly wide: boolean }): void {
  watcher.watch({ files: new Set([at('app.ts'), at('math/tasks.ts'), at('math/late.ts')]), wide });
}

/** Makes a change, and waits until one is told. */
async function after(change: () => void): Promise<readonly string[]> {
  const next = new Promise<void>((resolve) => (told = resolve));
  change();
  await next;
  return changes.at(-1) ?? [];
}

it('tells of a file that is saved in place, replaced, or removed', async () => {
  expect(await after(() => write('math/tasks.ts', '22'))).toEqual(['math/tasks.ts']);
  write('math/new.txt', '333');
  expect(await after(() => renameSync(at('math/new.txt'), at('math/tasks.ts')))).toEqual(['math/tasks.ts']);
  expect(await after(() => rmSync(at('math/tasks.ts')))).toEqual(['math/tasks.ts']);
});

it('tells of files whose folder is moved away, and back', async () => {
  expect(await after(() => renameSync(at('math'), at('moved')))).toEqual(['math/tasks.ts']);
  expect(await after(() => renameSync(at('moved'), at('math')))).toEqual(['math/tasks.ts']);
});

it('tells of a file that was missing, and of a new task module', async () => {
  expect(await after(() => write('math/late.ts', '1'))).toEqual(['math/late.ts']);
  expect(await after(() => write('tasks.ts', '1'))).toEqual(['tasks.ts']);
});

it('tells of changes that come together once', async () => {
  const changed = await after(() => {
    write('app.ts', '22');
    write('math/tasks.ts', '22');
  });
  expect(changed).toEqual(['app.ts', 'math/tasks.ts']);
  expect(changes).toHaveLength(1);
});

it('says nothing of other files, nor of a file that is as it was', async () => {
  const time = new Date(1_000_000_000_000);
  utimesSync(at('app.ts'), time, time);
  watcher.close();
  watcher = new SourceWatcher(root, { onChange: (files) => (changes.push(files), told()), onProblem: () => undefined });
  watch({ wide: false });
  write('math/notes.ts', '1');
  utimesSync(at('app.ts'), time, time);
  // The change that follows is told by itself.
  expect(await after(() => write('math/tasks.ts', '22'))).toEqual([at('math/tasks.ts')]);
});

it('wide, tells of any source, in folders that are new too', async () => {
  watch({ wide: true });
  expect(await after(() => write('math/other.ts', '1'))).toEqual(['math/other.ts']);
  await after(() => mkdirSync(at('billing')));
  expect(await after(() => write('billing/tasks.ts', '1'))).toContain('billing/tasks.ts');
});

it('sees changes in a folder that was removed and made again', async () => {
  await after(() => rmSync(at('math'), { recursive: true }));
  await after(() => write('math/tasks.ts', '1'));
  expect(await after(() => write('math/tasks.ts', '333'))).toEqual(['math/tasks.ts']);
});
