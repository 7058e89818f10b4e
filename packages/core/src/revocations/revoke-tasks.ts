import { type OptionCheck, checkOptions } from '../config/check-options.js';
import { LovageError, expected } from '../errors/lovage-error.js';
import { isName } from '../payload/name.js';
import type { ResultBackend } from '../results/result-backend.js';
import type { RevokeResult } from './revocation-store.js';

export interface RevokeOptions {
  /** true: where the task runs, its signal aborts, and what does not end within `revocations.grace` is given up. Default false: it may run to its end, which then counts for nothing. */
  readonly terminate?: boolean | undefined;
  /** Why, for whoever reads the record or a worker's log. Default 'on request'. */
  readonly reason?: string | undefined;
}

const CHECKS = {
  terminate: (value) => (typeof value === 'boolean' ? null : 'true or false'),
  reason: (value) => (isName(value) ? null : 'a text of 1 to 255 characters'),
} satisfies { readonly [K in keyof Required<RevokeOptions>]: OptionCheck };

/** Revokes tasks; one result an id, each id once. @throws as `Lovage.revoke`. */
export async function revokeTasks(
  backend: ResultBackend,
  ids: readonly string[],
  options: RevokeOptions,
): Promise<readonly RevokeResult[]> {
  checkOptions(options, 'revoke()', { checks: CHECKS, code: 'LOVAGE_USAGE' });
  const wrong = ids.find((id) => !isName(id));
  if (wrong !== undefined) {
    throw new LovageError('LOVAGE_USAGE', `revoke(): ${expected('an id', 'a string of 1 to 255 characters', wrong)}`);
  }
  const { revocations } = backend.capabilities;
  if (revocations === undefined) {
    throw new LovageError('LOVAGE_DRIVER', 'the result backend of this app keeps no revocations');
  }
  const { terminate = false, reason = 'on request' } = options;
  return revocations.revoke([...new Set(ids)], { terminate, reason });
}
