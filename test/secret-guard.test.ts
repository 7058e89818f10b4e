import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { eventually } from './support/eventually.js';
import { SecretGuard } from './support/secret-guard.js';

let guard: SecretGuard;
/** Not named to the guard that watches this test itself. */
let secret: string;

beforeEach(() => {
  guard = new SecretGuard();
  secret = `s/${randomBytes(12).toString('hex')}`;
  guard.keep(secret);
  guard.start();
});
afterEach(() => guard.stop());

/** Runs JavaScript in a process of its own. The secret is in its environment. */
async function run(code: string, args: readonly string[] = []): Promise<void> {
  const child = spawn(process.execPath, ['-e', code, ...args], { env: { ...process.env, SECRET: secret } });
  child.stdout.resume();
  child.stderr.resume();
  await once(child, 'close');
}

it.each([
  ['stdout', 'console.log(`a ${process.env.SECRET} b`)'],
  ['stderr', 'console.error(process.env.SECRET)'],
  ['a URL', 'console.log(`amqp://a:${encodeURIComponent(process.env.SECRET)}@b`)'],
  [
    'an output in two pieces',
    'const s = process.env.SECRET; process.stdout.write(s.slice(0, 9)); setTimeout(() => process.stdout.write(s.slice(9)), 200)',
  ],
  [
    'the output of a process below',
    "require('child_process').spawnSync(process.execPath, ['-p', 'process.env.SECRET'], { stdio: 'inherit' })",
  ],
])('a secret in %s is found, and not shown', async (_place, code) => {
  await run(code);
  expect(guard.leaks).toHaveLength(1);
  expect(guard.leaks[0]).toMatch(/std(out|err) of .*shows a secret: .*\*\*\*/);
  expect(guard.leaks[0]).not.toContain(secret);
});

it('a secret in a command line is found', async () => {
  await run('0', [secret]);
  expect(guard.leaks).toEqual([expect.stringContaining('a command line shows a secret')]);
});

it.each([
  ['a title', "process.title = `worker ${process.env.SECRET}`; console.log('ready'); process.stdin.resume()"],
  [
    'the command line of a process below',
    "require('child_process').spawn('sh', ['-c', 'read line', process.env.SECRET], { stdio: 'inherit' }); console.log('ready')",
  ],
])('a secret in %s is found', async (_place, code) => {
  const child = spawn(process.execPath, ['-e', code], { env: { ...process.env, SECRET: secret } });
  child.stdout.resume();
  await eventually(() => {
    guard.lookAtProcesses();
    expect(guard.leaks[0]).toMatch(/the command line of \d+ shows a secret/);
  });
  child.stdin.end();
  await once(child, 'close');
});

it('what is no secret is not found, nor what is too short to be one', async () => {
  guard.keep('guest');
  await run("console.log('guest', process.env.SECRET.slice(1))");
  expect(guard.leaks).toEqual([]);
});

it('takes nothing from whoever reads, however late', async () => {
  const child = spawn(process.execPath, ['-e', "console.log('early'); console.error('late'); process.stdin.resume()"]);
  await once(child.stderr, 'data');
  const [chunk] = (await once(child.stdout, 'data')) as [Buffer];
  expect(chunk.toString()).toBe('early\n');
  child.stdin.end();
  await once(child, 'close');
});
