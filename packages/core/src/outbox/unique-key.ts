import { createHash } from 'node:crypto';
import { UNIQUE_SCOPES, type UniqueClaim, type UniqueScope } from './outbox.js';

/** The key that is stored for a caller's key of one task: of one length, however long the caller's is. */
export function uniqueKey(task: string, key: string): string {
  return createHash('sha256')
    .update(JSON.stringify([task, key]))
    .digest('hex');
}

/** What the message carries of a claim, in its header `unique`. */
export function uniqueHeader({ scope, key }: Pick<UniqueClaim, 'scope' | 'key'>): string {
  return `${scope}:${key}`;
}

/** Reads the header `unique`; null for anything that is none. */
export function parseUniqueHeader(value: unknown): Pick<UniqueClaim, 'scope' | 'key'> | null {
  if (typeof value !== 'string') return null;
  const [, scope = '', key = ''] = /^([a-z]+):([0-9a-f]{64})$/.exec(value) ?? [];
  return (UNIQUE_SCOPES as readonly string[]).includes(scope) ? { scope: scope as UniqueScope, key } : null;
}
