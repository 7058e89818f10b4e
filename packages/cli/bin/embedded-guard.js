// @ts-check
'use strict';

const { execFile, spawn } = require('node:child_process');

// Runs one command for the process that holds the other end of its standard input, and ends that command when the process is gone, however it went.
// It is a process of its own because a killed one can do nothing any more, and in a session of its own because the Ctrl-C of a terminal reaches
// every process of the foreground group: the server would shut down before the worker that uses it. Plain JavaScript, as it is started by path.

/**
 * The first line of standard input, as JSON; not an argument, as everybody may read those.
 * @typedef {object} Order
 * @property {string} command
 * @property {string[]} args
 * @property {string} cwd
 * @property {{ uid: number, gid: number } | null} user whom it runs as; null: the same one
 * @property {string} input what the command reads
 * @property {{ signal: 'SIGINT' | 'SIGQUIT' | 'SIGKILL', afterMs: number }[]} stop how it is ended
 * @property {string} pgCtl
 */

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => {});

let line = '';
/** @type {() => void} */
let onEnd = () => process.exit();
process.stdin.setEncoding('utf8').on('data', read);
for (const event of ['end', 'error', 'close']) process.stdin.once(event, () => onEnd());

/** @param {string} chunk */
function read(chunk) {
  line += chunk;
  if (!line.includes('\n')) return;
  process.stdin.off('data', read).resume();
  run(JSON.parse(line));
}

/** @param {Order} order */
function run({ command, args, cwd, user, input, stop, pgCtl }) {
  const child = spawn(command, args, {
    cwd,
    detached: true,
    windowsHide: true,
    stdio: ['pipe', 'inherit', 'inherit'],
    ...user,
  });
  child.stdin.on('error', () => {}); // it ended before it had read all
  child.stdin.end(input);
  child.once('error', (error) => {
    process.stderr.write(`${error.message}\n`);
    process.exit(127);
  });
  child.once('exit', (code) => process.exit(code ?? 1));
  onEnd = () => {
    onEnd = () => {};
    for (const { signal, afterMs } of stop) setTimeout(() => end(signal), afterMs);
  };

  /** @param {'SIGINT' | 'SIGQUIT' | 'SIGKILL'} signal */
  function end(signal) {
    const { pid } = child;
    if (pid === undefined) return;
    if (process.platform === 'win32') endOnWindows(pid, signal);
    else if (signal === 'SIGKILL') killGroup(pid);
    else child.kill(signal);
  }

  /**
   * Windows has no signals: PostgreSQL listens for their names on a pipe, and pg_ctl knows it.
   * @param {number} pid
   * @param {'SIGINT' | 'SIGQUIT' | 'SIGKILL'} signal
   */
  function endOnWindows(pid, signal) {
    if (signal === 'SIGKILL') execFile('taskkill', ['/T', '/F', '/PID', String(pid)], () => {});
    else execFile(pgCtl, ['kill', signal.slice('SIG'.length), String(pid)], () => {});
  }
}

/** @param {number} pid */
function killGroup(pid) {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // gone already
  }
}
