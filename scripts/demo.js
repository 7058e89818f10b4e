// @ts-check
'use strict';

// npm run demo: installs and builds what is missing, then shows examples/quickstart on what `lovage dev` brings: Node is all it needs.
// npm run demo -- --rabbitmq: the same on RabbitMQ and PostgreSQL, as `npm run services` finds or starts them.
const { spawn } = require('node:child_process');
const events = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const readline = require('node:readline');
const { ROOT, ensureBuilt } = require('./ensure-installed.js');
const { ServiceError } = require('./services/service-error.js');
const { withServices } = require('./services/with-services.js');

const FOLDER = path.join(ROOT, 'examples', 'quickstart');
const LOVAGE = path.join(ROOT, 'packages', 'lovage', 'bin', 'lovage.js');
const APP = ['-A', './app.ts'];
const READY_TIMEOUT_MS = 30_000;

/**
 * Where the walk goes.
 * @typedef {object} Ground
 * @property {NodeJS.ProcessEnv} env
 * @property {AbortSignal} signal aborts when this process is told to end
 */

const [flag, ...more] = process.argv.slice(2);
if (more.length > 0 || (flag !== undefined && flag !== '--rabbitmq')) {
  console.error(
    `demo: expected no argument, or --rabbitmq, got ${[flag, ...more].join(' ')}. Usage: npm run demo [-- --rabbitmq]`,
  );
  process.exitCode = 2;
} else {
  ensureBuilt();
  process.chdir(FOLDER);
  void (flag === '--rabbitmq' ? onRabbitMq() : onPostgres());
}

/** One command brings the database, which is the broker too, and the worker; all others find it by themselves. */
async function onPostgres() {
  const interrupted = new AbortController();
  for (const name of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
    process.on(name, () => {
      process.exitCode = 128 + os.constants.signals[name];
      interrupted.abort(new ServiceError(`ended by ${name}`));
    });
  }
  const { LOVAGE_BROKER: _broker, LOVAGE_RESULTS: _results, ...env } = process.env;
  const ground = { env, signal: interrupted.signal };
  try {
    const dev = await startService(['dev', ...APP], { ...ground, label: 'dev', stopSignal: 'SIGINT' });
    try {
      await lovage(ground, ['call', ...APP, 'math.divide', '3', '4', '--wait']);
      await walk(ground, { resultsUrl: readDevUrl });
    } finally {
      await dev.stop();
    }
  } catch (error) {
    process.exitCode ??= 1;
    const expected = /** @type {Error} */ (error).name === 'ServiceError';
    console.error(expected ? `demo: ${/** @type {Error} */ (error).message}` : error);
  }
}

/** Where `lovage dev` says that its database is. */
function readDevUrl() {
  const { url } = /** @type {{ url: string }} */ (JSON.parse(fs.readFileSync('.lovage/dev.json', 'utf8')));
  return url;
}

async function onRabbitMq() {
  await withServices(async (ground) => {
    await lovage(ground, ['migrate', ...APP]);
    const worker = await startService(['worker', ...APP, '--loglevel=info'], {
      ...ground,
      label: 'worker',
      stopSignal: 'SIGTERM',
    });
    try {
      await walk(ground, { resultsUrl: () => String(ground.env['LOVAGE_RESULTS']) });
    } finally {
      await worker.stop();
    }
    return 0;
  });
}

/**
 * What a caller sees, in processes of its own.
 * @param {Ground} ground
 * @param {{ resultsUrl: () => string }} options
 */
async function walk(ground, { resultsUrl }) {
  say(['npm', 'start']);
  await ends(run(ground, 'npm', ['start', '--silent']), 'npm start');
  await lovage(ground, ['list', ...APP]);
  const records = await readRecords(resultsUrl());
  for (const state of ['SUCCESS', 'FAILURE']) {
    const record = records.find((row) => row['state'] === state);
    if (record === undefined)
      throw new ServiceError(`expected examples/quickstart to leave a task in state ${state}, found none`);
    // Its exit code tells how the task ended: docs/reference/cli.md.
    await lovage(ground, ['result', ...APP, String(record['id'])], { code: state === 'FAILURE' ? 4 : 0 });
  }
  say(['psql', '$LOVAGE_RESULTS', '-c', `'${QUERY}'`]);
  console.log(table(records));
}

/** @param {Ground} ground @param {readonly string[]} args @param {{ code?: number }} [expected] */
async function lovage(ground, args, { code = 0 } = {}) {
  say(['lovage', ...args]);
  await ends(run(ground, process.execPath, [LOVAGE, ...args]), `lovage ${args[0]}`, code);
}

/** @param {Ground} ground @param {string} command @param {readonly string[]} args @returns {Promise<number>} its exit code */
async function run({ env, signal }, command, args) {
  signal.throwIfAborted();
  const child = spawn(command, args, { env, stdio: 'inherit' });
  signal.addEventListener('abort', () => child.kill('SIGTERM'), { once: true });
  const [code] = await events.once(child, 'exit');
  signal.throwIfAborted();
  return code ?? 1;
}

/**
 * Starts a command that runs on, shows its output, and resolves when it says that it is ready.
 * @param {readonly string[]} args
 * @param {Ground & { label: string, stopSignal: NodeJS.Signals }} options
 */
async function startService(args, { env, signal, label, stopSignal }) {
  say(['lovage', ...args, '&']);
  // A group of its own: a Ctrl-C ends the demo, which ends it.
  const child = spawn(process.execPath, [LOVAGE, ...args], { env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  const exited = events.once(child, 'exit');
  let isStopping = false;
  const stop = async () => {
    if (!isStopping && child.exitCode === null) say(['kill', `-${stopSignal.slice(3)}`, '%1']);
    isStopping = true;
    child.kill(stopSignal);
    const [code] = await exited;
    if (code !== 0) throw new ServiceError(`expected lovage ${args[0]} to end with code 0, got ${String(code)}`);
  };
  /** @type {Promise<void>} */
  const ready = new Promise((resolve, reject) => {
    for (const input of [child.stdout, child.stderr]) {
      readline.createInterface({ input }).on('line', (line) => {
        console.log(`  ${label} | ${line}`);
        if (/\bready\b/i.test(line)) resolve();
      });
    }
    const late = () => reject(new ServiceError(`lovage ${args[0]} was not ready after ${READY_TIMEOUT_MS / 1000} s`));
    AbortSignal.timeout(READY_TIMEOUT_MS).addEventListener('abort', late);
    signal.addEventListener('abort', () => reject(new ServiceError('the demo was ended')));
    child.once('exit', (code) => reject(new ServiceError(`lovage ${args[0]} ended with code ${code}`)));
  });
  try {
    await ready;
  } catch (error) {
    if (child.exitCode === null) await stop().catch(() => undefined);
    throw error;
  }
  return { stop };
}

const QUERY = 'select id, task, state, args, result, error from lovage.task_results order by created_at desc limit 5';

/** @param {string} connectionString @returns {Promise<Record<string, unknown>[]>} */
async function readRecords(connectionString) {
  const { Client } = require('pg');
  const client = new Client({ connectionString });
  await client.connect();
  try {
    return (await client.query(QUERY)).rows;
  } finally {
    await client.end();
  }
}

/** @param {readonly Record<string, unknown>[]} rows @returns {string} as psql prints it */
function table(rows) {
  const columns = Object.keys(rows[0] ?? {});
  const cells = rows.map((row) => columns.map((column) => cell(row[column])));
  const widths = columns.map((column, at) => Math.max(column.length, ...cells.map((row) => row[at]?.length ?? 0)));
  const line = (/** @type {readonly string[]} */ row) =>
    row
      .map((text, at) => ` ${text.padEnd(widths[at] ?? 0)} `)
      .join('|')
      .trimEnd();
  const rule = widths.map((width) => '-'.repeat(width + 2)).join('+');
  return [line(columns), rule, ...cells.map(line), `(${rows.length} rows)`].join('\n');
}

/** @param {unknown} value */
function cell(value) {
  if (value === null || value === undefined) return '';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 59)}…` : text;
}

/** @param {readonly string[]} words */
function say(words) {
  console.log(`\n$ ${words.join(' ')}`);
}

/** @param {Promise<number>} command @param {string} name */
async function ends(command, name, expected = 0) {
  const code = await command;
  if (code !== expected) throw new ServiceError(`expected \`${name}\` to end with code ${expected}, got ${code}`);
}
