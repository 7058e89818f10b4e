// @ts-check
'use strict';

const { execFile, execFileSync } = require('node:child_process');
const { randomBytes, randomUUID } = require('node:crypto');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { promisify } = require('node:util');
const { startDaemon, untilReady } = require('./daemon.js');
const { freePorts } = require('./free-ports.js');
const { removeFolder, scratchFolder } = require('./scratch-folder.js');
const { ServiceError } = require('./service-error.js');

/**
 * A private RabbitMQ node, for one run or for one fault test.
 * @typedef {object} Rabbit
 * @property {string} name of the node
 * @property {string} home the folder that holds the cookie which the nodes of a cluster share
 * @property {number} epmdPort where the nodes of a cluster find one another
 * @property {string} url amqp://…, user guest, with a password of this node's own
 * @property {string} apiUrl the management API, with the same user
 * @property {(...args: string[]) => Promise<string>} ctl runs `rabbitmqctl` against this node and gives its output
 * @property {() => Promise<void>} kill ends the node at once (SIGKILL); its data stays
 * @property {() => Promise<void>} start starts a killed node again, same ports, same data
 * @property {() => Promise<void>} stop ends the node and removes its data; idempotent
 */

// Debian's wrapper in /usr/sbin insists on the user rabbitmq; the script that it wraps runs as anyone. So that one comes first.
const RABBIT_FOLDERS = [
  '/usr/lib/rabbitmq/bin',
  '/opt/homebrew/sbin',
  '/usr/local/sbin',
  ...(process.env['PATH'] ?? '').split(path.delimiter).filter(Boolean),
];

/**
 * @param {readonly string[]} folders
 * @returns {string | undefined} the folder that holds the rabbitmq-server script
 */
function findRabbit(folders = RABBIT_FOLDERS) {
  return folders.find((folder) => fs.existsSync(path.join(folder, 'rabbitmq-server')));
}

/**
 * Starts a private node on free ports of 127.0.0.1, with its own cookie, its own epmd and its data in a scratch folder.
 * @param {object} options
 * @param {string} options.bin the folder that `findRabbit` found
 * @param {readonly string[]} [options.config] further lines of rabbitmq.conf
 * @param {Rabbit} [options.neighbour] the node whose cookie and epmd it shares, so that it can join its cluster, and which must outlive it
 * @param {AbortSignal | undefined} [options.signal]
 * @returns {Promise<Rabbit>}
 */
async function startRabbit({ bin, config = [], neighbour, signal }) {
  const folder = scratchFolder('rabbitmq');
  const [port, distPort, apiPort, freePort] = /** @type {[number, number, number, number]} */ (await freePorts(4));
  const { home, epmdPort } = neighbour ?? { home: folder, epmdPort: freePort };
  const name = `lovage-${randomUUID().slice(0, 8)}@localhost`;
  const env = nodeEnv({ folder, home, name, port, distPort, epmdPort });
  // Not `guest`: tests look for it in all that is printed. One for a whole cluster, whose users are those of its first node.
  const password = neighbour === undefined ? randomBytes(12).toString('hex') : new URL(neighbour.url).password;
  writeConfig(folder, { port, apiPort, config: [`default_pass = ${password}`, ...config] });

  // Started here rather than by the node, which would leave it running for ever.
  const epmd =
    neighbour === undefined
      ? startDaemon(findEpmd(), {
          name: 'epmd',
          args: ['-port', `${epmdPort}`, '-address', '127.0.0.1'],
          env,
          cwd: folder,
          logFile: path.join(folder, 'epmd.log'),
        })
      : undefined;
  /** @type {import('./daemon.js').Daemon | undefined} */
  let node;

  async function start() {
    node = startDaemon(path.join(bin, 'rabbitmq-server'), {
      name: 'RabbitMQ',
      args: [],
      env,
      cwd: folder,
      logFile: path.join(folder, 'rabbitmq.log'),
    });
    await untilReady(node, { name: 'RabbitMQ', probe: () => speaksAmqp(port), timeoutMs: 90_000, signal });
  }

  async function kill() {
    await node?.stop('SIGKILL');
    node = undefined;
  }

  async function stop() {
    await kill(); // its data is thrown away: nothing is gained by a slow and orderly shutdown
    await epmd?.stop('SIGKILL');
    removeFolder(folder);
  }

  try {
    await start();
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    name,
    home,
    epmdPort,
    url: `amqp://guest:${password}@127.0.0.1:${port}`,
    apiUrl: `http://guest:${password}@127.0.0.1:${apiPort}`,
    ctl: async (...args) => {
      const { stdout } = await promisify(execFile)(path.join(bin, 'rabbitmqctl'), ['-n', name, ...args], { env });
      return stdout;
    },
    kill,
    start,
    stop,
  };
}

/**
 * Starts nodes that are one cluster; three are ready after about twenty seconds and take 1.2 GB. Each is to be stopped, the first one last. Quorum
 * queues that are declared now have a member on each of up to five.
 * @param {object} options
 * @param {string} options.bin
 * @param {number} options.nodes
 * @param {AbortSignal | undefined} [options.signal]
 * @returns {Promise<[Rabbit, ...Rabbit[]]>}
 */
async function startCluster({ bin, nodes, signal }) {
  const first = await startRabbit({ bin, signal });
  /** @type {Rabbit[]} */
  const others = [];
  try {
    while (others.length < nodes - 1) {
      const node = await startRabbit({ bin, neighbour: first, signal });
      others.push(node);
      await node.ctl('stop_app');
      await node.ctl('join_cluster', first.name);
      await node.ctl('start_app');
    }
  } catch (error) {
    await stopCluster([first, ...others]);
    throw error;
  }
  return [first, ...others];
}

/** @param {readonly Rabbit[]} nodes as `startCluster` gave them */
async function stopCluster([first, ...others]) {
  await Promise.all(others.map((node) => node.stop()));
  await first?.stop();
}

/**
 * @param {{ folder: string, home: string, name: string, port: number, distPort: number, epmdPort: number }} node
 * @returns {NodeJS.ProcessEnv}
 */
function nodeEnv({ folder, home, name, port, distPort, epmdPort }) {
  const inherited = Object.entries(process.env).filter(([key]) => !/^(RABBITMQ|ERL)_/.test(key));
  return {
    ...Object.fromEntries(inherited),
    HOME: home, // the cookie is made there
    ERL_EPMD_PORT: `${epmdPort}`,
    ERL_EPMD_ADDRESS: '127.0.0.1',
    RABBITMQ_NODENAME: name,
    RABBITMQ_NODE_PORT: `${port}`,
    RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
    RABBITMQ_DIST_PORT: `${distPort}`,
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-kernel inet_dist_use_interface {127,0,0,1}',
    RABBITMQ_MNESIA_BASE: path.join(folder, 'data'),
    RABBITMQ_LOG_BASE: path.join(folder, 'log'),
    RABBITMQ_PID_FILE: path.join(folder, 'rabbitmq.pid'),
    RABBITMQ_CONF_ENV_FILE: path.join(folder, 'rabbitmq-env.conf'),
    RABBITMQ_CONFIG_FILE: path.join(folder, 'rabbitmq.conf'),
    RABBITMQ_ENABLED_PLUGINS_FILE: path.join(folder, 'enabled_plugins'),
    RUNNING_UNDER_SYSTEMD: 'true', // the script then becomes the node instead of staying its parent
  };
}

/** @param {string} folder @param {{ port: number, apiPort: number, config: readonly string[] }} options */
function writeConfig(folder, { port, apiPort, config }) {
  fs.writeFileSync(path.join(folder, 'rabbitmq-env.conf'), '');
  fs.writeFileSync(path.join(folder, 'enabled_plugins'), '[rabbitmq_management].\n');
  fs.writeFileSync(
    path.join(folder, 'rabbitmq.conf'),
    [
      `listeners.tcp.1 = 127.0.0.1:${port}`,
      'management.tcp.ip = 127.0.0.1',
      `management.tcp.port = ${apiPort}`,
      'management_agent.disable_metrics_collector = true', // the API is here to make vhosts; its statistics would slow benchmarks
      'disk_free_limit.absolute = 50MB', // the default blocks every publisher on a small disk, in silence
      ...config,
      '',
    ].join('\n'),
  );
}

/** @returns {string} epmd, which some packages of Erlang keep outside PATH */
function findEpmd() {
  const inPath = (process.env['PATH'] ?? '').split(path.delimiter).map((folder) => path.join(folder, 'epmd'));
  const found = inPath.find((file) => fs.existsSync(file));
  if (found !== undefined) return found;
  const expression = 'io:format("~s/erts-~s/bin/epmd", [code:root_dir(), erlang:system_info(version)]), halt().';
  try {
    return execFileSync('erl', ['-noshell', '-eval', expression], { encoding: 'utf8' });
  } catch {
    throw new ServiceError(
      'RabbitMQ is installed, but Erlang is not in PATH: expected to find `erl` there. Add its bin folder to PATH.',
    );
  }
}

/**
 * Whether a broker greets at this port: an open port alone is not enough, RabbitMQ accepts before it can serve.
 * @param {number} port
 * @returns {Promise<boolean>}
 */
function speaksAmqp(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => socket.write('AMQP\0\0\x09\x01', 'latin1'));
    /** @param {boolean} answer */
    const settle = (answer) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(2_000, () => settle(false));
    socket.once('data', (data) => settle(data[0] === 1)); // a method frame: Connection.Start
    socket.once('error', () => settle(false));
    socket.once('close', () => settle(false));
  });
}

module.exports = { findRabbit, startCluster, startRabbit, stopCluster };
