import { backoffDelay } from '@lovage/core';
import type { Runtime } from '@lovage/core';
import { RECONNECT_BACKOFF } from '../connection/connection-supervisor.js';
import { pause } from '../connection/pause.js';

export interface KeepChannelOptions {
  /** Ends it: the connection has gone, or nobody needs the channel any more. */
  readonly signal: AbortSignal;
  readonly runtime: Runtime;
  /** Opens a channel, uses it, and resolves when it is gone. Must not reject. */
  readonly session: () => Promise<void>;
}

/**
 * Runs one session after another on a connection that is up: a channel can die alone (a delivery that took too long, a queue that was
 * deleted, a refused message). The first replacement comes at once, the next ones with back-off, until one has lasted.
 */
export async function keepChannel({ signal, runtime, session }: KeepChannelOptions): Promise<void> {
  for (let failures = 0; !signal.aborted;) {
    if (failures > 1) await pause(backoffDelay(failures - 1, RECONNECT_BACKOFF, runtime), signal);
    if (signal.aborted) return;
    const begun = runtime.monotonic();
    await session();
    failures = runtime.monotonic() - begun > RECONNECT_BACKOFF.maxMs ? 1 : failures + 1;
  }
}
