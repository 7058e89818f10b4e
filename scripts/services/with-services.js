// @ts-check
'use strict';

const { spawn } = require('node:child_process');
const os = require('node:os');
const { ServiceError } = require('./service-error.js');
const { startServices } = require('./start-services.js');

/**
 * @typedef {object} WorkContext
 * @property {NodeJS.ProcessEnv} env the environment with LOVAGE_BROKER and LOVAGE_RESULTS in it
 * @property {AbortSignal} signal aborts when this process is told to end
 * @property {(command: string, args: readonly string[]) => Promise<number>} run runs a command in `env` and gives its exit code
 */

/** @type {readonly NodeJS.Signals[]} */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/**
 * Runs `work` while the services are up and ends them afterwards, however it ends: also on SIGINT, SIGTERM and SIGHUP.
 * Sets `process.exitCode` to what `work` resolves to, to 128 + n after signal n, or to 1 where the services did not start.
 * @param {(context: WorkContext) => Promise<number>} work
 */
async function withServices(work) {
  const interrupted = new AbortController();
  /** @type {Set<import('node:child_process').ChildProcess>} */
  const children = new Set();
  for (const name of SIGNALS) {
    process.on(name, () => {
      interrupted.abort(new ServiceError(`ended by ${name}`));
      process.exitCode = 128 + os.constants.signals[name];
      // A terminal sends its Ctrl-C to the children too, and a second one makes a worker stop without waiting for its tasks.
      if (name === 'SIGINT' && process.stdin.isTTY) return;
      for (const child of children) child.kill(name);
    });
  }
  try {
    const services = await startServices({
      log: (line) => console.error(`services: ${line}`),
      signal: interrupted.signal,
    });
    const env = {
      ...process.env,
      LOVAGE_BROKER: services.brokerUrl,
      LOVAGE_RESULTS: services.resultsUrl,
      ...(services.apiUrl && { SERVICES_BROKER_API: services.apiUrl }),
    };
    try {
      interrupted.signal.throwIfAborted();
      const code = await work({
        env,
        signal: interrupted.signal,
        run: (command, args) => runChild(command, { args, env, children }),
      });
      process.exitCode ??= code;
    } finally {
      await services.stop();
    }
  } catch (error) {
    process.exitCode ??= 1;
    const expected = /** @type {Error} */ (error).name === 'ServiceError';
    console.error(expected ? `services: ${/** @type {Error} */ (error).message}` : error);
  }
}

/**
 * @param {string} command
 * @param {{ args: readonly string[], env: NodeJS.ProcessEnv, children: Set<import('node:child_process').ChildProcess> }} options
 * @returns {Promise<number>}
 */
function runChild(command, { args, env, children }) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env, stdio: 'inherit' });
    children.add(child);
    child.once('error', (error) => {
      children.delete(child);
      reject(new ServiceError(`expected ${command} to be a command that can be run: ${error.message}`));
    });
    child.once('exit', (code, signal) => {
      children.delete(child);
      resolve(code ?? 128 + os.constants.signals[/** @type {NodeJS.Signals} */ (signal)]);
    });
  });
}

module.exports = { withServices };
