// @ts-check
'use strict';

const { aptInstall, canApt } = require('./apt.js');
const { composeWorks, startCompose } = require('./compose.js');
const { startPostgres } = require('./postgres.js');
const { findRabbit, startCluster, stopCluster } = require('./rabbitmq.js');
const { ServiceError } = require('./service-error.js');

/**
 * @typedef {object} Services
 * @property {string} brokerUrl
 * @property {string} resultsUrl
 * @property {string | undefined} apiUrl the broker's management API, with its credentials, where it is known
 * @property {() => Promise<void>} stop ends what was started here and nothing else; idempotent
 */

/**
 * @typedef {object} ServicesOptions
 * @property {NodeJS.ProcessEnv} [env] where LOVAGE_BROKER, LOVAGE_RESULTS, SERVICES_BROKER_API and SERVICES_NODES are looked for; default process.env
 * @property {(line: string) => void} [log] told what is used and what is started; default: nothing
 * @property {AbortSignal | undefined} [signal] ends a start that is under way, together with what it has started
 */

/**
 * Gives a RabbitMQ and a PostgreSQL that are up: those of LOVAGE_BROKER and LOVAGE_RESULTS if both are set, else `docker compose` if
 * a Docker engine answers, else private instances from this machine's binaries, on free ports of 127.0.0.1 (as root on Debian
 * or Ubuntu they are installed first). With SERVICES_NODES above 1, RabbitMQ is a private cluster of so many nodes, of which the URL names the first.
 * @param {ServicesOptions} [options]
 * @returns {Promise<Services>}
 * @throws {ServiceError} says what to install
 */
async function startServices({ env = process.env, log = () => {}, signal } = {}) {
  const { LOVAGE_BROKER: brokerUrl, LOVAGE_RESULTS: resultsUrl, SERVICES_BROKER_API: apiUrl } = env;
  if (brokerUrl && resultsUrl) {
    log('using LOVAGE_BROKER and LOVAGE_RESULTS');
    return { brokerUrl, resultsUrl, apiUrl, stop: async () => {} };
  }
  if (brokerUrl || resultsUrl) {
    log(`${brokerUrl ? 'LOVAGE_BROKER' : 'LOVAGE_RESULTS'} is set without its twin and not used: set both, or none`);
  }
  const nodes = nodesOf(env['SERVICES_NODES']);
  if (nodes === 1 && composeWorks()) {
    log('starting RabbitMQ and PostgreSQL with docker compose');
    try {
      return await startCompose({ signal });
    } catch (error) {
      signal?.throwIfAborted();
      log(`docker compose failed, trying this machine's own programs: ${/** @type {Error} */ (error).message.trim()}`);
    }
  }
  return await startPrivate({ bin: requireRabbit({ log }), nodes, log, signal });
}

/** @param {string | undefined} text */
function nodesOf(text = '1') {
  if (/^[1-9]$/.test(text)) return Number(text);
  throw new ServiceError(`expected SERVICES_NODES to be how many nodes RabbitMQ has, 1 to 9, got '${text}'`);
}

/**
 * @param {{ bin: string, nodes: number, log: (line: string) => void, signal: AbortSignal | undefined }} options
 * @returns {Promise<Services>}
 */
async function startPrivate({ bin, nodes, log, signal }) {
  log(`starting a private RabbitMQ${nodes === 1 ? '' : ` of ${nodes} nodes`} and PostgreSQL`);
  const started = Date.now();
  const [brokers, postgres] = await Promise.allSettled([
    startCluster({ bin, nodes, signal }),
    startPostgres({ signal }),
  ]);
  const stop = async () => {
    await Promise.all([
      brokers.status === 'fulfilled' ? stopCluster(brokers.value) : undefined,
      postgres.status === 'fulfilled' ? postgres.value.stop() : undefined,
    ]);
  };
  if (brokers.status === 'rejected' || postgres.status === 'rejected') {
    await stop();
    throw brokers.status === 'rejected' ? brokers.reason : /** @type {PromiseRejectedResult} */ (postgres).reason;
  }
  log(`both are up after ${((Date.now() - started) / 1000).toFixed(1)} s`);
  const [{ url, apiUrl }] = brokers.value;
  return { brokerUrl: url, apiUrl, resultsUrl: postgres.value.url, stop };
}

/**
 * The folder of the rabbitmq-server script, which is installed first where that is possible.
 * @param {object} [options]
 * @param {(line: string) => void} [options.log]
 * @param {readonly string[] | undefined} [options.folders] where to look; default: PATH and where packagers put it
 * @param {boolean} [options.install] default: root on Debian or Ubuntu
 * @returns {string}
 * @throws {ServiceError} says what to install
 */
function requireRabbit({ log = () => {}, folders, install = canApt() } = {}) {
  const present = findRabbit(folders);
  if (present !== undefined) return present;
  if (install) {
    log('installing rabbitmq-server with apt-get');
    aptInstall(['rabbitmq-server']);
    const installed = findRabbit(folders);
    if (installed !== undefined) return installed;
  }
  throw new ServiceError(
    'RabbitMQ was not found: expected a running Docker engine with the compose plugin, or rabbitmq-server on this machine. ' +
      'Start Docker, or install RabbitMQ (Debian, Ubuntu: `sudo apt-get install rabbitmq-server`; macOS: `brew install rabbitmq`), ' +
      'or set LOVAGE_BROKER and LOVAGE_RESULTS to the URLs of a RabbitMQ and a PostgreSQL that are running.',
  );
}

module.exports = { requireRabbit, startServices };
