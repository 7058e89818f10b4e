import { isLovageError, loadApp, nativeLoader, type Lovage, type ModuleLoader, type Settings } from '@lovage/core';
import type { AppSource } from '../worker-options.js';
import type { ThreadSetup } from './thread-protocol.js';

/** What a thread needs to load the app that this process has loaded from there. */
export function threadSetupOf({ app, loader }: AppSource, { broker, results }: Settings): ThreadSetup {
  return {
    app,
    cwd: process.cwd(),
    loader: loader ?? null,
    services: {
      ...(broker.urls.length > 0 && { broker: broker.urls }),
      ...(results === null && { results: null }),
      ...(results !== null && results.url !== '' && { results: results.url }),
    },
  };
}

/** In a thread: the app, configured, its tasks not loaded yet. */
export async function openApp({ app: spec, cwd, loader: loaderModule, services }: ThreadSetup): Promise<Lovage> {
  const loader = loaderModule === null ? nativeLoader : await loaderOf(loaderModule);
  const { app } = await loadApp(spec, { cwd, loader });
  app.useLoader(loader);
  configure(app, services);
  return app;
}

async function loaderOf(module: string): Promise<ModuleLoader> {
  const exports = (await nativeLoader(module)) as { readonly createLoader: () => ModuleLoader };
  return exports.createLoader();
}

// An app that was used while it was imported has its configuration by then.
function configure(found: Lovage, services: ThreadSetup['services']): void {
  try {
    found.configFromObject(services);
  } catch (error) {
    if (!isLovageError(error, 'LOVAGE_USAGE')) throw error;
  }
}
