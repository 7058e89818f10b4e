import { readFileSync } from 'node:fs';
import path from 'node:path';
import { DevProject, type DevProcess } from '../e2e/dev/dev-project.js';
import { isolatedBroker } from '../support/isolated-broker.js';
import { isolatedResults } from '../support/isolated-results.js';
import { runNode, startWorker } from '../support/lovage-process.js';
import { type Block, type Step, blocksOf, expectShown, stepsOf } from './page-blocks.js';

const REPOSITORY = path.join(__dirname, '..', '..');
const PAGE = path.join(REPOSITORY, 'docs', 'tutorial', 'first-steps.md');
const QUICKSTART = path.join(REPOSITORY, 'examples', 'quickstart');
const TSC = path.join(REPOSITORY, 'node_modules', 'typescript', 'bin', 'tsc');
/** A call's id: another one each time. */
const ID = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;

/** The file that a block shows; null: none. A tsconfig.json has no first line that could name it. */
function fileOf({ language, code }: Block): { readonly name: string; readonly text: string } | null {
  if (language === 'json') return { name: 'tsconfig.json', text: code };
  const [line, name] = /^\/\/ (\S+\.ts)\n/.exec(code) ?? [];
  return line !== undefined && name !== undefined ? { name, text: code.slice(line.length) } : null;
}

describe('first-steps.md', () => {
  jest.setTimeout(90_000);
  const blocks = blocksOf(PAGE);
  const files = new Map(blocks.flatMap((block) => fileOf(block) ?? []).map(({ name, text }) => [name, text]));
  let project: DevProject;
  let dev: DevProcess | undefined;
  /** The id in the last output. */
  let id = '';

  beforeAll(() => {
    project = new DevProject({ 'package.json': JSON.stringify({ name: 'quickstart' }) });
  });

  afterAll(() => project?.remove());

  it('builds the project of examples/quickstart', () => {
    for (const name of ['app.ts', 'math/tasks.ts', 'tsconfig.json']) {
      expect({ name, text: files.get(name) }).toEqual({
        name,
        text: readFileSync(path.join(QUICKSTART, name), 'utf8'),
      });
    }
    expect([...files.keys()].sort()).toEqual(['app.ts', 'math/tasks.ts', 'send.ts', 'tsconfig.json']);
  });

  it('does what it shows with lovage dev, from top to bottom', async () => {
    for (const block of blocks) {
      const file = fileOf(block);
      if (file !== null) await save(file);
      if (block.language === 'console') for (const step of stepsOf(block.code)) await follow(step);
    }
    expect(id).not.toBe('');
  });

  it('finds the wrong call with the types, and nothing else', async () => {
    const right = files.get('send.ts') ?? '';
    const typed = new DevProject({ ...Object.fromEntries(files), 'package.json': JSON.stringify({ type: 'module' }) });
    try {
      expect(await runNode([TSC], { cwd: typed.folder })).toMatchObject({ code: 0, stdout: '' });
      typed.write('send.ts', right.replace('delay(1, 2)', "delay('1', 2)"));
      const shown = blocks.find(({ code }) => code.startsWith('send.ts('));
      expect(await runNode([TSC], { cwd: typed.folder })).toMatchObject({ stdout: shown?.code });
    } finally {
      await typed.remove();
    }
  });

  it('runs on RabbitMQ with the one statement that it changes', async () => {
    const [broker, results] = await Promise.all([isolatedBroker(), isolatedResults()]);
    const statement = /^export const app = new Lovage\(\{[\s\S]*?\}\);$/m;
    const [changed = ''] = blocks.flatMap(({ code }) => (code.includes('amqp:') ? (statement.exec(code) ?? []) : []));
    const here = changed.replace(/'amqp:.*'/, `'${broker.url}'`).replace(/'postgres:.*'/, `'${results.url}'`);
    const app = files.get('app.ts')?.replace(statement, () => here) ?? '';
    const moved = new DevProject({ ...Object.fromEntries(files), 'app.ts': app, 'package.json': '{}' });
    try {
      expect(app).toContain(broker.url);
      expect(await moved.lovage(['migrate'])).toMatchObject({ code: 0 });
      const worker = await startWorker([], { cwd: moved.folder, env: { LOVAGE_BROKER: '', LOVAGE_RESULTS: '' } });
      try {
        for (const command of [
          ['call', 'math.divide', '1', '2', '--wait'],
          ['run', 'send.ts'],
        ])
          expect(await moved.lovage(command)).toEqual({ code: 0, stdout: '0.5\n', stderr: '' });
      } finally {
        await worker.stop();
      }
    } finally {
      await moved.remove();
      await Promise.all([broker.drop(), results.drop()]);
    }
  });

  async function save({ name, text }: { readonly name: string; readonly text: string }): Promise<void> {
    project.write(name, text);
    if (dev === undefined || name !== 'app.ts') return; // its worker has loaded no other that the page changes
    await dev.says('lovage dev: app.ts changed: reloading');
    await dev.ready();
  }

  async function follow({ command, shown }: Step): Promise<void> {
    if (command === 'npx lovage dev') {
      dev = project.dev();
      await dev.ready();
      // PostgreSQL does not run as root, who finds its data elsewhere.
      expectShown({ command, shown }, dev.output.replace('in the folder that .lovage/postgres.txt names', '.lovage'));
      return;
    }
    const { stdout, stderr } = await project.lovage(command.replace(ID, id).split(' ').slice(2));
    const output = stderr + stdout;
    expectShown({ command, shown: shown.replace(ID, '…') }, output);
    id = output.match(ID)?.[0] ?? id;
  }
});
