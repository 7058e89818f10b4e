import { LovageError, isLovageError, type Lovage } from '@lovage/core';
import type { CliIo } from '../cli-io.js';
import { stderrOf } from '../terminal.js';
import { findDev, type RunningDev } from './dev-folder.js';

/** The `lovage dev` that a command uses: one runs for its folder, and the environment names no other services. null: none. */
export function devFor({ cwd, env }: Pick<CliIo, 'cwd' | 'env'>): RunningDev | null {
  return servicesIn(env).length > 0 ? null : findDev(cwd);
}

/** Which variables say which services to use: then they are obeyed. */
export function servicesIn(env: CliIo['env']): readonly string[] {
  return ['LOVAGE_BROKER', 'LOVAGE_RESULTS'].filter((name) => (env[name] ?? '') !== '');
}

/** Makes an app use the `lovage dev` of this folder, if one runs, and says so on stderr. Before the app's configuration is read. */
export function useDev(app: Lovage, io: CliIo, options: { readonly silent?: boolean } = {}): void {
  const dev = devFor(io);
  if (dev === null) return;
  pointAt(app, dev.url);
  if (options.silent !== true) sayDev(dev, io);
}

export function sayDev({ pid }: RunningDev, io: CliIo): void {
  const { colors, line } = stderrOf(io);
  line(colors.dim(`using lovage dev (pid ${pid})`));
}

/**
 * Makes this database an app's broker and results, whatever its code says, which may name production: nothing that belongs to another server stays in force.
 *
 * @throws LOVAGE_USAGE for an app that is in use already
 */
export function pointAt(app: Lovage, url: string): void {
  const place = { url, listenUrl: null, tls: { caFile: null, certFile: null, keyFile: null, serverName: null } };
  try {
    app.configFromObject({ broker: place, results: place });
  } catch (error) {
    if (!isLovageError(error, 'LOVAGE_USAGE')) throw error;
    throw new LovageError(
      'LOVAGE_USAGE',
      'lovage dev cannot be used: the app is used while its module is imported, and its configuration has been read. Move that use to a module of its own',
      { cause: error },
    );
  }
}
