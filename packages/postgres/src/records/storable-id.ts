import { sanitizeText } from '@lovage/core';

/** False for an id that no row can have: PostgreSQL's text holds no NUL, and UTF-8 no lone surrogate. */
export function isStorableId(id: string): boolean {
  return sanitizeText(id) === id;
}
