import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LastWords } from '@lovage/worker';
import { LAST_WORDS_FD, startWorkerProcess } from './worker-process.js';

describe('the last words of a process', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'lovage-words-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('are heard, and not those that it did not end', async () => {
    const entry = join(folder, 'entry.js');
    writeFileSync(entry, `require('node:fs').writeSync(${LAST_WORDS_FD}, '{"id":"whole"}\\n{"id":"cut o');`);
    const heard: LastWords[] = [];
    const worker = startWorkerProcess({
      entry,
      args: [],
      cwd: folder,
      env: process.env,
      onMessage: () => undefined,
      onDeaf: () => undefined,
      onLastWords: (words) => heard.push(words),
    });
    expect(await worker.ended).toMatchObject({ code: 0 });
    expect(heard).toEqual([{ id: 'whole' }]);
  });
});
