import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { claimDevFolder, devFolderOf, findDev, type DevFolder } from './dev-folder.js';
import { processMark } from './process-mark.js';

const URL = 'postgres://lovage:secret@127.0.0.1:5433/lovage';
let root: string;
let folder: string;
let claimed: DevFolder[];

beforeEach(() => {
  root = mkdtempSync(path.join(os.tmpdir(), 'lovage-dev-folder-'));
  folder = path.join(root, '.lovage');
  claimed = [];
});

afterEach(() => {
  for (const one of claimed) one.release();
  rmSync(root, { recursive: true, force: true });
});

function claim(): DevFolder {
  const dev = claimDevFolder(folder);
  claimed.push(dev);
  return dev;
}

function lock(number: number, content: object | string): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, `lock.${number}`), typeof content === 'string' ? content : JSON.stringify(content));
}

const locks = (): readonly string[] => readdirSync(folder).filter((name) => name.startsWith('lock'));

describe('where the folder is', () => {
  it('is beside the nearest package.json', () => {
    writeFileSync(path.join(root, 'package.json'), '{}');
    mkdirSync(path.join(root, 'src', 'jobs'), { recursive: true });
    expect(devFolderOf(path.join(root, 'src', 'jobs'))).toBe(folder);
  });
});

describe('a claim', () => {
  it('keeps everybody else out until it is released', () => {
    const dev = claim();
    expect(() => claim()).toThrow(expect.objectContaining({ code: 'LOVAGE_USAGE', details: { pid: process.pid } }));
    dev.publish(URL);
    expect(() => claim()).toThrow('postgres://lovage:***@127.0.0.1:5433/lovage');
    dev.release();
    expect(() => claim()).not.toThrow();
  });

  it.each([
    ['a process that has ended', { pid: 2 ** 22 + 1, mark: '1', since: '' }],
    ['a pid that is another process by now', { pid: process.pid, mark: 'long ago', since: '' }],
    ['no process: it was cut off', '{"pid":'],
    ['no process: it was released', ''],
  ])('mends a lock of %s', (_who, content) => {
    lock(7, content);
    claim();
    expect(locks()).toEqual(['lock.8']);
  });

  it('does not take a number for the highest that another process has passed', () => {
    lock(7, '');
    lock(9, { pid: process.pid, mark: processMark(process.pid), since: '' });
    expect(() => claim()).toThrow(expect.objectContaining({ code: 'LOVAGE_USAGE' }));
    expect([...locks()].sort()).toEqual(['lock.7', 'lock.9']);
  });

  it('of a folder that cannot be written says so', () => {
    writeFileSync(folder, '');
    expect(() => claim()).toThrow(`cannot write to ${folder}`);
  });

  it('is let go where its folder was removed meanwhile', () => {
    const dev = claim();
    rmSync(folder, { recursive: true });
    expect(() => dev.release()).not.toThrow();
  });
});

describe('a running lovage dev', () => {
  it('is found from the folders below, while it runs', () => {
    const below = path.join(root, 'src', 'jobs');
    mkdirSync(below, { recursive: true });
    const dev = claim();
    expect(findDev(below)).toBeNull();
    dev.publish(URL);
    expect(findDev(below)).toMatchObject({ pid: process.pid, url: URL });
    dev.release();
    expect(findDev(below)).toBeNull();
  });

  it('is passed over for one further up once its process is gone', () => {
    claim().publish(URL);
    const inner = path.join(root, 'inner');
    const file = path.join(inner, '.lovage', 'dev.json');
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(
      file,
      readFileSync(path.join(folder, 'dev.json'), 'utf8').replace(/"mark": ".*"/, '"mark": "before"'),
    );
    expect(findDev(inner)?.url).toBe(URL);
  });

  it('of another user is passed over', () => {
    claim().publish(URL);
    const me = jest.spyOn(process, 'getuid' as never).mockReturnValue(4_294_967 as never);
    try {
      expect(findDev(root)).toBeNull();
    } finally {
      me.mockRestore();
    }
  });
});
