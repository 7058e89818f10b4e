// @ts-check
'use strict';

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const { setTimeout: pause } = require('node:timers/promises');
const { ServiceError } = require('./service-error.js');

/**
 * A server that this process started and will end.
 * @typedef {object} Daemon
 * @property {number} pid
 * @property {() => boolean} running
 * @property {() => string} log what it has printed so far
 * @property {(stopSignal?: NodeJS.Signals) => Promise<void>} stop resolves when the process is gone; idempotent
 */

/**
 * @typedef {object} DaemonOptions
 * @property {string} name for messages
 * @property {readonly string[]} args
 * @property {NodeJS.ProcessEnv} env the whole environment, nothing is inherited
 * @property {string} cwd
 * @property {string} logFile
 * @property {{ uid: number, gid: number } | undefined} [user]
 */

/** @type {Set<number>} process groups that are still ours to end */
const groups = new Set();
process.on('exit', () => {
  for (const pid of groups) signalGroup(pid, 'SIGKILL');
});

/**
 * Starts a server in a process group of its own, so that a Ctrl-C meant for the command that uses it does not end it too early.
 * @param {string} command
 * @param {DaemonOptions} options
 * @returns {Daemon}
 */
function startDaemon(command, { name, args, env, cwd, logFile, user }) {
  const output = fs.openSync(logFile, 'a');
  const child = spawn(command, args, { cwd, env, detached: true, stdio: ['ignore', output, output], ...user });
  fs.closeSync(output);
  /** @type {Promise<void>} */
  const ended = new Promise((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', (error) => {
      fs.appendFileSync(logFile, `${error.message}\n`);
      resolve();
    });
  });
  const { pid } = child;
  if (pid === undefined) throw new ServiceError(`${name} could not be started from ${command}: is it executable?`);
  groups.add(pid);
  let running = true;
  void ended.then(() => (running = false));
  return {
    pid,
    running: () => running,
    log: () => fs.readFileSync(logFile, 'utf8'),
    async stop(stopSignal = 'SIGTERM') {
      if (running) child.kill(stopSignal);
      const deadline = new AbortController();
      await Promise.race([ended, pause(10_000, undefined, { signal: deadline.signal }).catch(() => undefined)]);
      deadline.abort();
      signalGroup(pid, 'SIGKILL'); // the helpers that it may have left in its group
      await ended;
      groups.delete(pid);
    },
  };
}

/** @param {number} pid @param {NodeJS.Signals} signal */
function signalGroup(pid, signal) {
  try {
    process.kill(-pid, signal);
  } catch {
    // gone already
  }
}

/**
 * Waits until `probe` says yes; rejects when the daemon ends first, after `timeoutMs`, or when `signal` aborts.
 * @param {Daemon} daemon
 * @param {{ name: string, probe: () => boolean | Promise<boolean>, timeoutMs: number, signal?: AbortSignal | undefined }} options
 */
async function untilReady(daemon, { name, probe, timeoutMs, signal }) {
  const deadline = Date.now() + timeoutMs;
  while (!(await probe())) {
    signal?.throwIfAborted();
    if (!daemon.running())
      throw new ServiceError(`${name} ended while it was starting. Its last words:\n${tail(daemon.log())}`);
    if (Date.now() > deadline) {
      throw new ServiceError(
        `${name} was not ready after ${timeoutMs / 1000} s. Its last words:\n${tail(daemon.log())}`,
      );
    }
    await pause(50);
  }
}

/** @param {string} text */
const tail = (text) => text.trimEnd().split('\n').slice(-20).join('\n');

module.exports = { startDaemon, untilReady };
