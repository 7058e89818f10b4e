import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { tempTree } from '../../core/test/temp-tree.js';

const BIN = path.join(__dirname, '..', 'bin', 'create-lovage.js');
/** util-linux's `script` gives a command a pseudo terminal; that of BSD and macOS has other options. */
const HAS_SCRIPT = spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout?.includes('util-linux') ?? false;

interface Step {
  /** Waits until this is shown, … */
  readonly shown: string;
  /** … then types this. */
  readonly typed: string;
}

let running: ChildProcess | undefined;
afterEach(() => running?.kill()); // what a failed test has left waiting at its question

/** Runs the command as built on a pseudo terminal. */
async function onTerminal(args: string, { cwd, steps }: { readonly cwd: string; readonly steps: readonly Step[] }) {
  const child = spawn('script', ['-qec', `${process.execPath} ${BIN} ${args}`, '/dev/null'], { cwd });
  running = child;
  const left = [...steps];
  let output = '';
  let answered = 0;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    const [next] = left;
    if (next === undefined || !output.slice(answered).includes(next.shown)) return;
    answered = output.length;
    child.stdin.write(next.typed);
    left.shift();
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, output };
}

(HAS_SCRIPT ? describe : describe.skip)('create-lovage on a pseudo terminal', () => {
  jest.setTimeout(30_000);

  it('asks, and writes what was answered', async () => {
    const cwd = tempTree({});
    const steps = [
      { shown: '(typescript) ', typed: 'js\r' },
      { shown: '(esm) ', typed: 'cjs\r' },
    ];
    const { code, output } = await onTerminal('app --no-install', { cwd, steps });
    expect({ code, output }).toMatchObject({ code: 0, output: expect.stringContaining('npx lovage dev') });
    expect(readdirSync(path.join(cwd, 'app'))).toContain('app.js');
  });

  it('ends with 130 at Ctrl-C, and has written nothing', async () => {
    const cwd = tempTree({});
    const steps = [
      { shown: '(typescript) ', typed: '\r' },
      { shown: '(esm) ', typed: '\x03' },
    ];
    const { code, output } = await onTerminal('app', { cwd, steps });
    expect({ code, output }).toMatchObject({ code: 130, output: expect.stringContaining('nothing was written') });
    expect(readdirSync(cwd)).toEqual([]);
  });
});
