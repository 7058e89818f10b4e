import { loadApp, maskUrl, type Lovage } from '@lovage/core';
import type { CliIo } from './cli-io.js';
import { useDev } from './dev/use-dev.js';
import { createJitiLoader } from './jiti-loader.js';
import { messageOf } from './report-error.js';
import { stderrOf } from './terminal.js';

export interface AppUse {
  readonly io: CliIo;
  /** Called before the app's configuration is read, the last moment to add to it. */
  readonly prepare: (app: Lovage) => void | Promise<void>;
}

/**
 * Loads the app that -A names, gives it to `work`, and stops it afterwards, however that ended. It uses the `lovage dev` of this folder, if one runs and
 * the environment says nothing else.
 */
export function withApp<T>(spec: string, io: CliIo, work: (app: Lovage) => Promise<T>): Promise<T> {
  return withPreparedApp(spec, { io, prepare: (app) => useDev(app, io) }, work);
}

/** As withApp, on the services that `prepare` or the app's own configuration names. */
export async function withPreparedApp<T>(
  spec: string,
  { io, prepare }: AppUse,
  work: (app: Lovage) => Promise<T>,
): Promise<T> {
  const loader = createJitiLoader();
  const { app } = await loadApp(spec, { cwd: io.cwd, loader });
  app.useLoader(loader);
  try {
    await prepare(app);
    return await work(app);
  } finally {
    await app.stop();
  }
}

/** Says on stderr why a connection takes so long. For commands without a logger. */
export function showConnectionRetries(app: Lovage, io: CliIo): void {
  const { colors, line } = stderrOf(io);
  app.events.on('connection:retry', ({ target, url, delayMs, error }) => {
    const name = target === 'broker' ? 'broker' : 'database';
    const again = `trying again in ${(delayMs / 1000).toFixed(1)} s`;
    line(colors.yellow(`${name} ${maskUrl(url)}: ${messageOf(error)}; ${again}`));
  });
}

/** What `app.connect` is given for --no-retry. */
export function retryOf(options: { readonly noRetry: boolean }): { readonly retryForMs?: number } {
  return options.noRetry ? { retryForMs: 0 } : {};
}
