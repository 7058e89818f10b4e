// @ts-check
'use strict';

// Runs an embedded PostgreSQL as a program of a user would, to be killed, or as another user. Its one argument is a `HostOrder` as JSON; it prints a JSON
// document a line, `{ progress }`, `{ url }`, `{ code, message }` or `{ ended }`, and stops when its standard input ends. A Ctrl-C it does not hear.

const path = require('node:path');
const { createJiti } = require('jiti');

/** @typedef {{ folder: string, from: string[], user: { uid: number, gid: number } | null }} HostOrder */

process.on('SIGINT', () => {});
void main(/** @type {HostOrder} */ (JSON.parse(process.argv[2] ?? '')));

/** @param {HostOrder} order */
async function main({ folder, from, user }) {
  const jiti = createJiti(__filename, { fsCache: false });
  const file = path.join(__dirname, '..', 'src', 'dev', 'embedded-postgres.ts');
  const { startInstalledPostgres } = /** @type {typeof import('../src/dev/embedded-postgres.js')} */ (
    await jiti.import(file)
  );
  if (user !== null) {
    process.setgroups?.([]);
    process.setgid?.(user.gid);
    process.setuid?.(user.uid);
  }
  try {
    const options = {
      folder,
      port: null,
      signal: new AbortController().signal,
      onProgress: (/** @type {string} */ progress) => tell({ progress }),
    };
    const server = await startInstalledPostgres(options, from);
    tell({ url: server.url });
    process.stdin.resume().once('end', () => void server.stop());
    tell({ ended: await server.ended });
    process.exit();
  } catch (error) {
    const { code, message } = /** @type {import('@lovage/core').LovageError} */ (error);
    tell({ code, message });
    process.exitCode = 1;
  }
}

/** @param {object} document */
function tell(document) {
  process.stdout.write(`${JSON.stringify(document)}\n`);
}
