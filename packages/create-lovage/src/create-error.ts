/** What the command ends with when it does not end well. */
export const EXIT_CODES = {
  /** The files could not be written, or their dependencies not be installed. */
  failure: 1,
  /** The command line is wrong. */
  usage: 2,
  /** Ctrl-C or Ctrl-D at a question: what a shell gives for SIGINT. */
  abandoned: 130,
} as const;

export type CreateErrorCode = keyof typeof EXIT_CODES;

const BRAND = Symbol.for('create-lovage.error');

/** Something the user can do something about: its message is a sentence to be shown as it is. */
export class CreateError extends Error {
  override readonly name = 'CreateError';
  readonly [BRAND] = true;

  constructor(
    readonly code: CreateErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

export function isCreateError(error: unknown): error is CreateError {
  return typeof error === 'object' && error !== null && BRAND in error;
}
