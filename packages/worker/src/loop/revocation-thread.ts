import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import type { Revocation } from '@lovage/core';
import { guardProcess } from '../guard-process.js';
import { openApp } from '../pool/open-app.js';
import type { ThreadSetup } from '../pool/thread-protocol.js';
import { Revocations } from '../revocations/revocations.js';

/** What Terminations runs in a thread: loads the app, and reads its revocations until it is ended. */

export type FromRevocationThread =
  /** To be terminated from now on. */
  | { readonly kind: 'news'; readonly news: readonly Revocation[] }
  | { readonly kind: 'problem'; readonly message: string };

const port = parentPort as MessagePort;
const tell = (message: FromRevocationThread): void => port.postMessage(message);

async function read(setup: ThreadSetup): Promise<void> {
  const app = await openApp(setup);
  app.events.on('warning', ({ message }) => tellProblem(message));
  // As long as it takes: nobody waits for it.
  const results = await app.connectResults({ retryForMs: Infinity });
  const store = results?.capabilities.revocations;
  if (store === undefined) return;
  const { keepMs } = (await app.settings()).revocations;
  const revocations = new Revocations({ store, keepMs, events: app.events, runtime: app.runtime });
  await revocations.start((found) => {
    const news = found.filter(({ terminate }) => terminate);
    if (news.length > 0) tell({ kind: 'news', news });
  });
}

const tellProblem = (message: string): void => tell({ kind: 'problem', message });
guardProcess({ error: tellProblem });
read(workerData as ThreadSetup).catch((error: unknown) =>
  tellProblem(error instanceof Error ? error.message : String(error)),
);
