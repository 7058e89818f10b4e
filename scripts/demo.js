// @ts-check
'use strict';

// npm run demo: installs and builds what is missing, then shows examples/quickstart against real services.
const { spawn } = require('node:child_process');
const events = require('node:events');
const path = require('node:path');
const readline = require('node:readline');
const { ROOT, ensureBuilt } = require('./ensure-installed.js');
const { ServiceError } = require('./services/service-error.js');
const { withServices } = require('./services/with-services.js');

const FOLDER = path.join(ROOT, 'examples', 'quickstart');
const LOVAGE = path.join(ROOT, 'packages', 'lovage', 'bin', 'lovage.js');
const APP = ['-A', './app.ts'];
const READY_TIMEOUT_MS = 20_000;

ensureBuilt();
process.chdir(FOLDER);
void withServices(async ({ env, run, signal }) => {
  /** @param {string} command @param {...string} args */
  const lovage = async (command, ...args) => {
    say(['lovage', command, ...APP, ...args]);
    await ends(run(process.execPath, [LOVAGE, command, ...APP, ...args]), `lovage ${command}`);
  };
  await lovage('migrate');
  const worker = await startWorker({ env, signal });
  try {
    say(['npm', 'start']);
    await ends(run('npm', ['start', '--silent']), 'npm start');
    await lovage('list');
    const records = await readRecords(/** @type {string} */ (env['LOVAGE_RESULTS']));
    for (const state of ['SUCCESS', 'FAILURE']) {
      const record = records.find((row) => row['state'] === state);
      if (record === undefined)
        throw new ServiceError(`expected examples/quickstart to leave a task in state ${state}, found none`);
      say(['lovage', 'result', ...APP, String(record['id'])]);
      const shown = run(process.execPath, [LOVAGE, 'result', ...APP, String(record['id'])]);
      // Its exit code tells how the task ended: docs/reference/cli.md.
      await ends(shown, 'lovage result', state === 'FAILURE' ? 4 : 0);
    }
    await worker.stop();
    say(['psql', '$LOVAGE_RESULTS', '-c', `'${QUERY}'`]);
    console.log(table(records));
    return 0;
  } finally {
    worker.kill();
  }
});

/**
 * Starts `lovage worker`, shows its output, and resolves when it says that it is ready.
 * @param {{ env: NodeJS.ProcessEnv, signal: AbortSignal }} options
 */
async function startWorker({ env, signal }) {
  const args = ['worker', ...APP, '--loglevel=info'];
  say(['lovage', ...args, '&']);
  // A group of its own: a Ctrl-C ends the demo, which ends the worker.
  const child = spawn(process.execPath, [LOVAGE, ...args], {
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = events.once(child, 'exit');
  /** @type {Promise<void>} */
  const ready = new Promise((resolve, reject) => {
    for (const input of [child.stdout, child.stderr]) {
      readline.createInterface({ input }).on('line', (line) => {
        console.log(`  worker | ${line}`);
        if (/\bready\b/i.test(line)) resolve();
      });
    }
    const late = () => reject(new ServiceError(`the worker was not ready after ${READY_TIMEOUT_MS / 1000} s`));
    AbortSignal.timeout(READY_TIMEOUT_MS).addEventListener('abort', late);
    signal.addEventListener('abort', () => reject(new ServiceError('the demo was ended')));
    child.once('exit', (code) => reject(new ServiceError(`the worker ended with code ${code}`)));
  });
  const kill = () => child.kill('SIGKILL');
  try {
    await ready;
  } catch (error) {
    kill();
    throw error;
  }
  return {
    kill,
    async stop() {
      say(['kill', '-TERM', '%1']);
      child.kill('SIGTERM');
      const [code] = await exited;
      if (code !== 0) throw new ServiceError(`expected the worker to end with code 0, got ${String(code)}`);
    },
  };
}

const QUERY = 'select id, task, state, args, result, error from lovage.task_results order by finished_at';

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
