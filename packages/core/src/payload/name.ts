import { sanitizeText } from './storable.js';

/** Ids and task names are columns and headers. */
export const NAME_LENGTH = 255;

/** True for what can be an id or a task's name: 1 to 255 characters (UTF-16 units) that headers and columns can hold. */
export function isName(value: unknown): value is string {
  // NUL and half a surrogate pair can be in neither.
  return typeof value === 'string' && value !== '' && value.length <= NAME_LENGTH && sanitizeText(value) === value;
}
