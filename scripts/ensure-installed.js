// @ts-check
'use strict';

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const ROOT = path.resolve(__dirname, '..');

/** Installs the dependencies of a fresh clone; does nothing where an install has ended before. */
function ensureInstalled() {
  // npm writes this file at the end of every install.
  const installed = path.join(ROOT, 'node_modules', '.package-lock.json');
  if (fs.existsSync(installed)) return;
  runOrExit('npm', ['ci', '--no-audit', '--no-fund']);
}

/** Installs, then builds every package. */
function ensureBuilt() {
  ensureInstalled();
  runOrExit(process.execPath, [path.join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc'), '-b']);
}

/** @param {string} command @param {readonly string[]} args */
function runOrExit(command, args) {
  console.error(`$ ${path.basename(command)} ${args.map((arg) => path.relative(ROOT, arg) || arg).join(' ')}`);
  const { status } = spawnSync(command, args, { cwd: ROOT, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}

module.exports = { ROOT, ensureBuilt, ensureInstalled };
