// @ts-check
'use strict';

const { execFile, spawnSync } = require('node:child_process');
const { randomBytes } = require('node:crypto');
const path = require('node:path');
const { promisify } = require('node:util');
const { freePorts } = require('./free-ports.js');

const ROOT = path.resolve(__dirname, '../..');

/** Whether a Docker engine answers (the client alone is often there without one) and has the compose plugin. */
function composeWorks() {
  const answers = (/** @type {string[]} */ ...args) =>
    spawnSync('docker', args, { timeout: 5_000, stdio: 'ignore' }).status === 0;
  return answers('version', '--format', '{{.Server.Version}}') && answers('compose', 'version');
}

/**
 * Starts docker-compose.yml as a project of its own on free ports, so that several runs do not meet.
 * @param {{ signal?: AbortSignal | undefined }} [options]
 * @returns {Promise<{ brokerUrl: string, apiUrl: string, resultsUrl: string, stop: () => Promise<void> }>}
 */
async function startCompose({ signal } = {}) {
  const [amqp, api, postgres] = /** @type {[number, number, number]} */ (await freePorts(3));
  const ports = { AMQP_PORT: `${amqp}`, AMQP_API_PORT: `${api}`, POSTGRES_PORT: `${postgres}` };
  const password = randomBytes(12).toString('hex');
  const env = { ...process.env, ...ports, SERVICES_PASSWORD: password };
  const project = ['compose', '--project-name', `lovage-${process.pid}-${amqp}`, '--project-directory', ROOT];
  const compose = (/** @type {string[]} */ args, /** @type {AbortSignal | undefined} */ abort) =>
    promisify(execFile)('docker', [...project, ...args], { env, ...(abort && { signal: abort }) });
  const stop = async () => {
    await compose(['down', '--volumes', '--timeout', '1'], undefined);
  };
  try {
    await compose(['up', '--detach', '--wait'], signal);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    brokerUrl: `amqp://guest:${password}@127.0.0.1:${amqp}`,
    apiUrl: `http://guest:${password}@127.0.0.1:${api}`,
    resultsUrl: `postgres://lovage:${password}@127.0.0.1:${postgres}/lovage`,
    stop,
  };
}

module.exports = { composeWorks, startCompose };
