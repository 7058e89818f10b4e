// @ts-check
'use strict';

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');

const POLICY = '/usr/sbin/policy-rc.d';

/** Whether this process may install Debian packages: root on Debian or Ubuntu. */
function canApt() {
  return process.getuid?.() === 0 && fs.existsSync('/etc/debian_version') && fs.existsSync('/usr/bin/apt-get');
}

/**
 * Installs Debian packages without starting any service of theirs.
 * @param {readonly string[]} packages
 */
function aptInstall(packages) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const apt = (/** @type {string[]} */ ...args) =>
    execFileSync('apt-get', ['-q', '-o', 'DPkg::Lock::Timeout=300', ...args], { env, stdio: ['ignore', 2, 2] });
  const forbidStarts = !fs.existsSync(POLICY);
  if (forbidStarts) fs.writeFileSync(POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    apt('update');
    apt('install', '-y', '--no-install-recommends', ...packages);
  } finally {
    if (forbidStarts) fs.rmSync(POLICY, { force: true });
  }
}

module.exports = { canApt, aptInstall };
