// @ts-check
'use strict';

const { execFileSync } = require('node:child_process');
const { randomBytes } = require('node:crypto');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { startDaemon, untilReady } = require('./daemon.js');
const { freePorts } = require('./free-ports.js');
const { removeFolder, scratchFolder } = require('./scratch-folder.js');

/**
 * A private Redis, for a benchmark's peer.
 * @typedef {object} Redis
 * @property {string} version
 * @property {string} url redis://…, with a password of this server's own
 * @property {() => Promise<void>} stop ends the server and forgets its data; idempotent
 */

/** @returns {string | undefined} the redis-server programme of this machine */
function findRedis() {
  const folders = ['/usr/bin', '/opt/homebrew/bin', ...(process.env['PATH'] ?? '').split(path.delimiter)];
  return folders
    .filter(Boolean)
    .map((folder) => path.join(folder, 'redis-server'))
    .find((file) => fs.existsSync(file));
}

/**
 * Starts a private server on a free port of 127.0.0.1 that keeps its data in memory alone.
 * @param {object} options
 * @param {string} options.command what `findRedis` found
 * @param {AbortSignal | undefined} [options.signal]
 * @returns {Promise<Redis>}
 */
async function startRedis({ command, signal }) {
  const folder = scratchFolder('redis');
  const [port] = /** @type {[number]} */ (await freePorts(1));
  const password = randomBytes(12).toString('hex');
  const config = path.join(folder, 'redis.conf');
  fs.writeFileSync(
    config,
    [
      'bind 127.0.0.1',
      `port ${port}`,
      `dir ${folder}`,
      `requirepass ${password}`,
      'save ""',
      'appendonly no',
      'daemonize no',
      '',
    ].join('\n'),
    { mode: 0o600 },
  );
  /** @type {import('./daemon.js').Daemon | undefined} */
  let server;

  async function stop() {
    await server?.stop('SIGKILL'); // there is nothing to save
    removeFolder(folder);
  }

  try {
    server = startDaemon(command, {
      name: 'Redis',
      args: [config],
      env: { PATH: process.env['PATH'] },
      cwd: folder,
      logFile: path.join(folder, 'redis.log'),
    });
    await untilReady(server, { name: 'Redis', probe: () => accepts(port), timeoutMs: 30_000, signal });
  } catch (error) {
    await stop();
    throw error;
  }
  const version = /v=(\S+)/.exec(execFileSync(command, ['--version'], { encoding: 'utf8' }))?.[1] ?? 'unknown';
  return { version, url: `redis://:${password}@127.0.0.1:${port}`, stop };
}

/**
 * @param {number} port
 * @returns {Promise<boolean>}
 */
function accepts(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

module.exports = { findRedis, startRedis };
