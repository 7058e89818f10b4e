import { inspect } from 'node:util';
import type { Colors } from './terminal.js';

/** A value for a person to read: a text as it is, anything else as Node shows it, whole. */
export function showValue(value: unknown, options: { readonly colors: Colors; readonly nested?: boolean }): string {
  if (typeof value === 'string' && options.nested !== true) return value;
  return inspect(value, {
    colors: options.colors.isColorSupported,
    depth: null,
    maxArrayLength: null,
    maxStringLength: null,
    breakLength: 100,
  });
}
