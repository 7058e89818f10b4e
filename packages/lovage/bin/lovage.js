#!/usr/bin/env node
'use strict';

const { main, processIo } = require('@lovage/cli');

/** How long what an app left open (a pool, a timer) may keep the process alive once the command has ended. */
const LINGER_MS = 500;

// Whoever reads may have heard enough, as `| head` has: a command ends then, but a worker goes on without its log.
process.stdout.on('error', (error) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
});
process.stderr.on('error', (error) => {
  // EIO: its terminal was closed.
  if (error.code !== 'EPIPE' && error.code !== 'EIO') throw error;
});

void main(process.argv.slice(2), processIo()).then((code) => {
  // A script that `lovage run` ran may have set its own.
  process.exitCode ||= code;
  setTimeout(() => process.exit(), LINGER_MS).unref();
});
