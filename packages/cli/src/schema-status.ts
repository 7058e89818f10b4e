import type { SchemaStatus } from '@lovage/core';

/** True where the schema is what this code needs. */
export function isCurrent(status: SchemaStatus): boolean {
  return status.pending.length === 0 && status.unknown.length === 0;
}

/** How the schema stands, and which command mends it. */
export function describeSchema({ schema, applied, pending, unknown }: SchemaStatus): string {
  if (unknown.length > 0) return `schema ${schema} is newer than this lovage: upgrade lovage`;
  if (pending.length === 0) return `schema ${schema} is up to date`;
  return `schema ${schema} is ${applied.length === 0 ? 'missing' : 'older than this lovage'}: run lovage migrate`;
}
