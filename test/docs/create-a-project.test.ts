import { readFileSync } from 'node:fs';
import path from 'node:path';
import { tempTree } from '../../packages/core/test/temp-tree.js';
import { runCreate } from '../../packages/create-lovage/test/run-create.js';

const PAGE = path.join(__dirname, '..', '..', 'docs', 'how-to', 'create-a-project.md');

/** The blocks of the page that are files: path → text, without the comment that names them. */
function filesShown(): Record<string, string> {
  const blocks = readFileSync(PAGE, 'utf8').matchAll(/^```(?:ts|js)\n\/\/ (\S+)\n([\s\S]*?)^```$/gm);
  return Object.fromEntries([...blocks].map(([, file, text]) => [file, text]));
}

describe('create-a-project.md', () => {
  it.each([
    ['--typescript', ['app.ts', 'math/tasks.ts', 'send.ts']],
    ['--javascript', ['math/tasks.js']],
  ])('shows what create-lovage %s writes', async (language, files) => {
    const cwd = tempTree({});
    await runCreate(['my-app', language, '--no-install'], { cwd });
    const shown = filesShown();
    for (const file of files) expect(shown[file]).toBe(readFileSync(path.join(cwd, 'my-app', file), 'utf8'));
  });

  it('shows no other file', () => {
    expect(Object.keys(filesShown()).sort()).toEqual(['app.ts', 'math/tasks.js', 'math/tasks.ts', 'send.ts']);
  });
});
