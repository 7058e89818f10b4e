import { type ErrorCode, LovageError, expected } from '../errors/lovage-error.js';
import { nearest } from './nearest.js';

/** What is wrong with an option's value, as in "expected x to be …"; null: nothing. */
export type OptionCheck = (value: unknown) => string | null;

export interface OptionsRule {
  readonly checks: Readonly<Record<string, OptionCheck>>;
  readonly code: ErrorCode;
}

/** Checks an options object by its table; `where` begins the message. An undefined value counts as absent. */
export function checkOptions(options: object, where: string, { checks, code }: OptionsRule): void {
  for (const [key, value] of Object.entries(options) as [string, unknown][]) {
    const check = Object.hasOwn(checks, key) ? checks[key] : undefined;
    if (check === undefined) {
      const near = nearest(key, Object.keys(checks));
      const hint = near === null ? '' : ` (did you mean '${near}'?)`;
      const known = Object.keys(checks).join(', ');
      throw new LovageError(code, `${where}: '${key}' is not an option${hint}; the options are ${known}`);
    }
    const problem = value === undefined ? null : check(value);
    if (problem !== null) throw new LovageError(code, `${where}: ${expected(key, problem, value)}`);
  }
}
