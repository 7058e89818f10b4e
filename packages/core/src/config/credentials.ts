import { setTimeout as pause } from 'node:timers/promises';
import { LovageError, isLovageError } from '../errors/lovage-error.js';
import type { ConnectionTarget } from '../events/events.js';

/** Who connects. Nothing of it is ever shown but the user's name, where the server has refused it. */
export interface Credentials {
  readonly username: string;
  readonly password: string;
}

/** Asked at each connection and reconnection, instead of what the URL says. */
export type CredentialsProvider = () => Credentials | Promise<Credentials>;

export interface AskOptions {
  /** Whose they are: names the key in an error. */
  readonly target: ConnectionTarget;
  readonly timeoutMs: number;
  /** Gives up at once when it aborts. */
  readonly signal?: AbortSignal;
}

const UNAVAILABLE = { broker: 'LOVAGE_BROKER_UNAVAILABLE', results: 'LOVAGE_RESULTS_UNAVAILABLE' } as const;

/**
 * Asks for credentials. Throws LOVAGE_BROKER_UNAVAILABLE or LOVAGE_RESULTS_UNAVAILABLE if the function throws, or has no answer in time: it may have one later; LOVAGE_CONFIG
 * if what it gives are none, without showing it.
 */
export async function askCredentials(
  provider: CredentialsProvider,
  { target, timeoutMs, signal }: AskOptions,
): Promise<Credentials> {
  const asked = new AbortController();
  const ends = signal === undefined ? asked.signal : AbortSignal.any([asked.signal, signal]);
  const late = pause(timeoutMs, undefined, { signal: ends, ref: false }).then(() => {
    throw failed(target, `it has not answered within ${timeoutMs} ms`);
  });
  late.catch(() => undefined);
  let given: unknown;
  try {
    given = await Promise.race([Promise.resolve().then(provider), late]);
  } catch (error) {
    if (isLovageError(error)) throw error;
    throw failed(target, error instanceof Error ? error.message : String(error), error);
  } finally {
    asked.abort();
  }
  const { username, password } = (given ?? {}) as { readonly username?: unknown; readonly password?: unknown };
  if (typeof username === 'string' && username !== '' && typeof password === 'string') return { username, password };
  throw new LovageError(
    'LOVAGE_CONFIG',
    `expected ${target}.credentials to give { username, password }, both texts; what it gave is not shown`,
  );
}

function failed(target: ConnectionTarget, reason: string, cause?: unknown): LovageError {
  const message = `${target}.credentials failed: ${reason}`;
  return new LovageError(UNAVAILABLE[target], message, cause === undefined ? {} : { cause });
}
