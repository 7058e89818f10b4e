import { existsSync, readFileSync, statSync } from 'node:fs';
import { commandOf, descendants, isAlive, killAll, processesNaming } from '../support/process-tree.js';
import { eventually } from '../support/eventually.js';
import { DevProject, type DevProcess } from './dev/dev-project.js';

jest.setTimeout(60_000);

/** Its code names servers that it must not reach from here. */
const APP = `
import { Lovage } from 'lovage';
export const app = new Lovage({
  name: 'shop',
  broker: 'amqp://production.invalid',
  results: { url: 'postgres://production.invalid/shop', schema: 'shop' },
  worker: { shutdownTimeout: '20s' },
});
app.autodiscover(['gate'], { from: import.meta.url });
`;

/** Tasks: one waits for a file and says which version of its code it is, one waits and lets nothing else run, one ends its process the first time. */
const tasks = (version: string): string => `
import { existsSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Task } from 'lovage';
import { version } from './version.js';

@Task({ name: 'gate.pass', params: ['file', 'note'] })
export class Pass {
  async run(file: string): Promise<string> {
    while (file !== '' && !existsSync(file)) await sleep(10);
    return '${version} ' + version;
  }
}

@Task({ name: 'gate.block' })
export class Block {
  run(file: string): void {
    while (!existsSync(file));
  }
}

@Task({ name: 'gate.fall' })
export class Fall {
  async run(file: string): Promise<void> {
    if (existsSync(file)) return;
    writeFileSync(file, '');
    process.exit(9);
  }
}
`;

let project: DevProject;
let dev: DevProcess;

beforeAll(async () => {
  project = new DevProject({
    'package.json': JSON.stringify({ name: 'shop', type: 'module' }),
    'tsconfig.json': JSON.stringify({ compilerOptions: { experimentalDecorators: true, emitDecoratorMetadata: true } }),
    'app.ts': APP,
    'gate/tasks.ts': tasks('first'),
    'gate/version.ts': `export const version: number = 1;`,
  });
  dev = project.dev();
  await dev.ready();
});

afterAll(() => project?.remove());

/** Starts it again, where it has ended. */
async function restarted(): Promise<DevProcess> {
  dev = project.dev();
  await dev.ready();
  return dev;
}

async function nothingIsLeft(): Promise<void> {
  await eventually(() => expect(project.processes()).toEqual([]), { timeoutMs: 15_000 });
}

/** Sends a task that does not end until its gate is opened. */
async function startGated(gate: string): Promise<{ readonly id: string; readonly open: () => void }> {
  const { stdout } = await project.lovage(['call', 'gate.pass', project.path(gate)]);
  const id = stdout.trim();
  await dev.says(`Task gate.pass[${id}] received`);
  return { id, open: () => project.write(gate, '') };
}

async function resultOf(id: string): Promise<string> {
  return (await project.lovage(['result', id, '--wait', '--timeout', '15s'])).stdout;
}

describe('a project with lovage dev running', () => {
  it('is told its URL, and how to call its own task', () => {
    const [, broker] = /^ {3}broker +(postgres:\S+)$/m.exec(dev.output) ?? [];
    expect(dev.output).toMatch(new RegExp(`^ {3}results +${broker}$`, 'm'));
    expect(dev.output).toContain('npx lovage call gate.block … --wait');
    const file = JSON.parse(readFileSync(project.path('.lovage/dev.json'), 'utf8')) as object;
    expect(file).toMatchObject({ pid: dev.pid, url: broker });
  });

  it('keeps its files from other users and from version control', () => {
    expect(statSync(project.path('.lovage/dev.json')).mode & 0o777).toBe(0o600);
    expect(readFileSync(project.path('.lovage/.gitignore'), 'utf8')).toBe('*\n');
    const secret = (JSON.parse(readFileSync(project.path('.lovage/dev.json'), 'utf8')) as { url: string }).url;
    expect(processesNaming(secret)).toEqual([]);
  });

  it('is found by other commands, whatever the code says', async () => {
    const called = await project.lovage(['call', 'gate.pass', '', '--wait', '-A', '../app'], { below: 'gate' });
    expect(called).toEqual({ code: 0, stdout: 'first 1\n', stderr: `using lovage dev (pid ${dev.pid})\n` });
    expect(await project.lovage(['status'])).toMatchObject({ code: 0 });
  });

  it('is found by a script that lovage run runs', async () => {
    project.write('send.ts', `process.stdout.write(String(process.env.LOVAGE_BROKER === process.env.LOVAGE_RESULTS));`);
    expect(await project.lovage(['run', 'send.ts'])).toMatchObject({ code: 0, stdout: 'true' });
  });

  it('is passed over where the environment names services', async () => {
    const env = { LOVAGE_BROKER: 'amqp://nowhere.invalid' };
    const { code, stderr } = await project.lovage(['call', 'gate.pass', '', '--no-retry'], { env });
    expect(code).toBe(3);
    expect(stderr).not.toContain('lovage dev');
  });

  it('refuses a second one in one sentence', async () => {
    const second = project.dev();
    expect(await second.ended).toBe(2);
    expect(second.output).toContain(`(pid ${dev.pid}, since 2`);
    expect(second.output.trim().split('\n')).toHaveLength(1);
    expect(isAlive(dev.pid)).toBe(true);
  });
});

describe('a change', () => {
  it('lets a running task end with the old code; the next call has the new', async () => {
    const { id, open } = await startGated('in-place');
    project.write('gate/tasks.ts', tasks('second'));
    await dev.says('gate/tasks.ts changed: reloading');
    await dev.says(`Waiting for gate.pass[${id}] to end`);
    open();
    expect(await resultOf(id)).toContain('first 1');
    await dev.ready();
    expect(await project.call('gate.pass', '')).toBe('second 1');
  });

  it('waits for a task that never pauses, and says so', async () => {
    const { stdout } = await project.lovage(['call', 'gate.block', project.path('blocked')]);
    await dev.says(`Task gate.block[${stdout.trim()}] received`);
    project.write('gate/tasks.ts', `${tasks('second')}\n`);
    await dev.says('the worker does not answer: a task in it never pauses (an endless loop?); Ctrl-C twice ends it');
    project.write('blocked', '');
    await dev.ready();
    expect(await resultOf(stdout.trim())).toContain('SUCCESS');
  });

  it('is seen where a file is replaced, of what the task module imports too', async () => {
    project.replace('gate/version.ts', `export const version: number = 2;`);
    await dev.ready();
    expect(await project.call('gate.pass', '')).toBe('second 2');
    project.replace('gate/version.ts', `export const version: number = 3;`);
    await dev.ready();
    expect(await project.call('gate.pass', '')).toBe('second 3');
  });

  it('of many files at once is one', async () => {
    const before = dev.output.split('reloading').length;
    project.write('gate/tasks.ts', tasks('third'));
    project.replace('gate/version.ts', `export const version: number = 4;`);
    await dev.ready();
    expect(await project.call('gate.pass', '')).toBe('third 4');
    expect(dev.output.split('reloading').length).toBe(before + 1);
  });

  it.each([
    ['a syntax error', 'gate/tasks.ts', 'export const = 1;'],
    ['a wrong configuration', 'app.ts', APP.replace('name:', 'nane:')],
    ['a module that is missing', 'gate/version.ts', `export { version } from './later.js';`],
  ])('that makes %s is shown, and the next one mends it', async (_what, file, text) => {
    const before = readFileSync(project.path(file), 'utf8');
    project.write(file, text);
    await dev.says(/^error: .*$/m);
    await dev.says('waiting for a change');
    expect(isAlive(dev.pid)).toBe(true);
    if (text.includes('later')) project.write('gate/later.ts', `export const version: number = 4;`);
    else project.write(file, before);
    await dev.ready();
    expect(await project.call('gate.pass', '')).toBe('third 4');
  });
});

it('a worker that dies is replaced', async () => {
  const { stdout } = await project.lovage(['call', 'gate.fall', project.path('fallen')]);
  await dev.says(`The process ends (exit code 9) while gate.fall[${stdout.trim()}] ran`);
  await dev.says('the worker ended with exit code 9; starting it again in 1 s');
  await dev.ready();
  const [worker] = descendants(dev.pid).filter((pid) => commandOf(pid).includes('worker-entry'));
  process.kill(worker as number, 'SIGKILL');
  await dev.says('the worker was ended by SIGKILL');
  await dev.ready();
  expect(await project.call('gate.pass', '')).toBe('third 4');
});

describe('Ctrl-C', () => {
  it('lets running tasks end, then nothing is left, and the data stays', async () => {
    const { id, open } = await startGated('at-the-end');
    dev.interrupt();
    // npm passes on to what npx runs the signal that the terminal has sent already.
    dev.interrupt();
    await dev.says(`Waiting up to 20 s for gate.pass[${id}]`);
    open();
    expect(await dev.ended).toBe(0);
    await nothingIsLeft();
    expect(existsSync(project.path('.lovage/dev.json'))).toBe(false);
    await restarted();
    expect(await resultOf(id)).toContain('third 4');
  });

  it('twice does not wait: the task runs again at the next start', async () => {
    const { id, open } = await startGated('twice');
    dev.interrupt();
    await dev.says('Waiting up to 20 s');
    // Two within a quarter of a second are one.
    await new Promise((resolve) => setTimeout(resolve, 300));
    dev.interrupt();
    expect(await dev.ended).toBe(7);
    await nothingIsLeft();
    open();
    await restarted();
    expect(await resultOf(id)).toContain('third 4');
  });

  it.each(['SIGTERM', 'SIGHUP'] as const)('is what %s is', async (signal) => {
    dev.signal(signal);
    expect(await dev.ended).toBe(0);
    await nothingIsLeft();
    await restarted();
  });

  it('stops a reload that waits', async () => {
    const { id, open } = await startGated('reload');
    project.write('gate/version.ts', `export const version: number = 5;`);
    await dev.says('to end; Ctrl-C stops');
    dev.interrupt();
    await dev.says('Waiting up to 20 s');
    open();
    expect(await dev.ended).toBe(0);
    await nothingIsLeft();
    await restarted();
    expect(await resultOf(id)).toContain('third 4');
  });

  it('at any moment of the start leaves nothing', async () => {
    dev.interrupt();
    expect(await dev.ended).toBe(0);
    for (const afterMs of [50, 250, 450, 650, 850]) {
      const started = project.dev();
      await new Promise((resolve) => setTimeout(resolve, afterMs));
      started.interrupt();
      // Node itself ends by the signal where no code of ours has run yet.
      expect([0, null]).toContain(await started.ended);
      await nothingIsLeft();
    }
    await restarted();
  });
});

it('killed, it takes all with it, and the next one has the data', async () => {
  const { stdout } = await project.lovage(['call', 'gate.pass', '']);
  const id = stdout.trim();
  expect(await resultOf(id)).toContain('third 5');
  dev.signal('SIGKILL');
  await nothingIsLeft();
  const { code } = await project.lovage(['call', 'gate.pass', '', '--no-retry']);
  expect(code).toBe(3); // dev.json is still there: its process is not
  await restarted();
  expect(await resultOf(id)).toContain('third 5');
});

it('killed, it takes a worker with it that is stuck in a task', async () => {
  const { stdout } = await project.lovage(['call', 'gate.block', project.path('unblocked')]);
  await dev.says(`Task gate.block[${stdout.trim()}] received`);
  dev.signal('SIGKILL');
  await nothingIsLeft();
  project.write('unblocked', '');
  await restarted();
});

it('of many that start at once where one was killed, one runs', async () => {
  dev.signal('SIGKILL');
  await dev.ended;
  const all = [project.dev(), project.dev(), project.dev(), project.dev()];
  const ends: (number | null)[] = [];
  for (const one of all) void one.ended.then((code) => ends.push(code));
  await eventually(() => expect(ends).toEqual([2, 2, 2]), { timeoutMs: 15_000 });
  const alive = all.filter(({ pid }) => isAlive(pid));
  expect(alive).toHaveLength(1);
  dev = alive[0] as DevProcess;
  await dev.ready();
  expect(await project.call('gate.pass', '')).toBe('third 5');
});

it('ends with a sentence if its database is killed', async () => {
  const servers = descendants(dev.pid).filter((pid) => commandOf(pid).includes('postgres'));
  killAll(servers);
  expect(await dev.ended).toBe(3);
  expect(dev.output).toMatch(/^error: PostgreSQL .*\(LOVAGE_RESULTS_UNAVAILABLE\)$/ms);
  await nothingIsLeft();
});

it('warns where the environment names services that it does not use', async () => {
  await restarted();
  dev.interrupt();
  expect(await dev.ended).toBe(0);
  expect(dev.output).not.toContain('the environment sets');
  dev = project.dev({ LOVAGE_BROKER: 'amqp://nowhere.invalid' });
  await dev.says('the environment sets LOVAGE_BROKER: lovage dev uses its own database');
  await dev.ready();
});

describe('a project in JavaScript', () => {
  let other: DevProject;

  beforeAll(() => {
    other = new DevProject({
      'package.json': JSON.stringify({ name: 'shop', type: 'module' }),
      'app.js': APP,
      'gate/tasks.js': `
        import { Task } from 'lovage';
        import { first } from './first.js';
        import second from './second.cjs';
        export class Pass { run() { return first + second; } }
        Task({ name: 'gate.pass' })(Pass);`,
      'gate/first.js': `export const first = 'a';`,
      'gate/second.cjs': `module.exports = 'b';`,
    });
  });

  afterAll(() => other?.remove());

  it('is pointed to lovage dev where it has no broker', async () => {
    other.write('bare.js', `import { Lovage } from 'lovage'; export const app = new Lovage();`);
    const { code, stderr } = await other.lovage(['call', 'any.task', '-A', 'bare', '--queue', 'any']);
    expect(code).toBe(2);
    expect(stderr).toContain('run `npx lovage dev`');
  });

  it('is reloaded when an ES module or a CommonJS module changes', async () => {
    const running = other.dev();
    await running.ready();
    expect(await other.call('gate.pass')).toBe('ab');
    other.write('gate/first.js', `export const first = 'c';`);
    await running.ready();
    other.replace('gate/second.cjs', `module.exports = 'd';`);
    await running.ready();
    expect(await other.call('gate.pass')).toBe('cd');
    running.interrupt();
    expect(await running.ended).toBe(0);
  });
});
