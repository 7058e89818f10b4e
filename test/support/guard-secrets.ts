import { SecretGuard } from './secret-guard.js';

/**
 * Runs around every test file: no process that any test starts, and not the one that runs the test, may show a password of the services that are in use,
 * or one that a test has named by `keepSecret`.
 */
const guard = new SecretGuard();
const KEEP = Symbol.for('lovage.test.keepSecret');
(globalThis as { [KEEP]?: SecretGuard })[KEEP] = guard;

for (const name of ['LOVAGE_BROKER', 'LOVAGE_RESULTS', 'SERVICES_BROKER_API'])
  guard.keep(decodeURIComponent(new URL(process.env[name] ?? 'none://').password));

const restore = [process.stdout, process.stderr].map((stream) => {
  const write = stream.write;
  stream.write = function (this: unknown, ...args: unknown[]) {
    guard.check(String(args[0]), 'the output of the test itself');
    return (write as (...args: unknown[]) => boolean).apply(stream, args);
  };
  return (): void => void (stream.write = write);
});
for (const level of ['debug', 'info', 'log', 'warn', 'error'] as const) {
  const write = console[level].bind(console);
  console[level] = (...args: unknown[]): void => {
    guard.check(args.map(String).join(' '), 'the console of the test itself');
    write(...args);
  };
}

guard.start();
afterEach(() => guard.lookAtProcesses());
afterAll(() => {
  guard.stop();
  for (const put of restore) put();
  expect(guard.leaks).toEqual([]);
});
