import { readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { tempTree } from '../../core/test/temp-tree.js';
import { writeProject } from './write-project.js';

describe('a project that cannot be written as a whole', () => {
  /** The last one cannot be written: the first is where its folder would be. */
  const FILES = new Map([
    ['math', ''],
    ['deep/er/file', ''],
    ['math/tasks.ts', ''],
  ]);
  const REFUSED = {
    code: 'failure',
    message: expect.stringMatching(/^cannot write to .*: part of the path is a file \(EEXIST\); nothing was written/),
  };

  it('leaves nothing behind, folders included', async () => {
    const folder = tempTree({});
    await expect(writeProject(path.join(folder, 'new', 'app'), FILES)).rejects.toMatchObject(REFUSED);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('leaves what was there before', async () => {
    const folder = tempTree({ notes: 'mine' });
    await expect(writeProject(folder, FILES)).rejects.toMatchObject(REFUSED);
    expect(readdirSync(folder)).toEqual(['notes']);
  });

  it('leaves what somebody else has put there meanwhile', async () => {
    const folder = tempTree({});
    const app = path.join(folder, 'app');
    const files = new Map(FILES);
    // Read once the first files are written.
    files.entries = function* () {
      yield* [...FILES].slice(0, 2);
      writeFileSync(path.join(app, 'deep', 'theirs'), '');
      yield* [...FILES].slice(2);
    } as typeof files.entries;
    files[Symbol.iterator] = files.entries;
    await expect(writeProject(app, files)).rejects.toMatchObject(REFUSED);
    expect(readdirSync(app, { recursive: true })).toEqual(['deep', 'deep/theirs']);
  });
});
