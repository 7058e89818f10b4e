// @ts-check
'use strict';

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

/**
 * A new folder that every user may enter: PostgreSQL refuses to run as root, so root runs it as someone else,
 * and that one can enter neither /root nor a folder of `mktemp -d`.
 * @param {string} name
 */
function scratchFolder(name) {
  const parent = fs.existsSync('/var/tmp') ? '/var/tmp' : os.tmpdir();
  const folder = fs.mkdtempSync(path.join(parent, `lovage-${name}-`));
  fs.chmodSync(folder, 0o755);
  return folder;
}

/**
 * Removes a folder whose owner has just ended; helpers of it may still be writing their last file.
 * @param {string} folder
 */
function removeFolder(folder) {
  fs.rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
}

module.exports = { scratchFolder, removeFolder };
