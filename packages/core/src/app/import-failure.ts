import { type ErrorCode, LovageError, show } from '../errors/lovage-error.js';

export interface FailedImport {
  readonly code: ErrorCode;
  /** What the file is to the user: `the task module`. */
  readonly what: string;
  readonly file: string;
}

/** The error of a module that threw while it was imported: names the file, gives the reason, and keeps the original as cause. */
export function importFailure(error: unknown, { code, what, file }: FailedImport): LovageError {
  const hint = hintFor(error, file);
  return new LovageError(
    code,
    `cannot import ${what} ${file}: ${reasonOf(error)}${hint === null ? '' : `\n  ${hint}`}`,
    { cause: error },
  );
}

/** `TypeError: x is not a function`; for a thrown value that is no error, the value. */
export function reasonOf(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('message' in error)) return `it threw ${show(error)}`;
  const { name, message } = error as { readonly name?: unknown; readonly message?: unknown };
  return `${typeof name === 'string' ? name : 'Error'}: ${String(message)}${syntaxErrorPlace(error) ?? ''}`;
}

/** Where the fault is, which Node says only at the head of a syntax error's stack, and not for every ES module. */
function syntaxErrorPlace(error: object): string | null {
  const { name, stack } = error as { readonly name?: unknown; readonly stack?: unknown };
  if (name !== 'SyntaxError' || typeof stack !== 'string') return null;
  const place = /^(?:file:\/\/)?(\S[^\n]*:\d+)\n/.exec(stack)?.[1];
  return place === undefined ? null : ` (at ${place})`;
}

/** What to do about failures whose own message does not say it; null: the message is enough. */
function hintFor(error: unknown, file: string): string | null {
  const { code, message, name } = (error ?? {}) as {
    readonly code?: unknown;
    readonly message?: unknown;
    readonly name?: unknown;
  };
  const text = typeof message === 'string' ? message : '';
  const isTypeScript = /\.[mc]?ts$/.test(file);
  if (code === 'ERR_UNKNOWN_FILE_EXTENSION') {
    return 'Node does not import TypeScript by itself: start the app through the lovage command, or compile it and run the .js files.';
  }
  if (
    isTypeScript &&
    (code === 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX' ||
      (name === 'SyntaxError' && /Invalid or unexpected token/.test(text)))
  ) {
    return "Node's own TypeScript support knows no decorators: start the app through the lovage command, or compile it and run the .js files.";
  }
  if (
    /parameter decorators|decorators are not|Decorators are not|support for the experimental syntax 'decorators/.test(
      text,
    )
  ) {
    return 'Decorators need "experimentalDecorators": true and "emitDecoratorMetadata": true in tsconfig.json.';
  }
  if (name === 'SyntaxError' && /Cannot use import statement outside a module|Unexpected token 'export'/.test(text)) {
    return 'Node read the file as CommonJS: set "type": "module" in its package.json, name it .mjs, or compile it to CommonJS.';
  }
  if (name === 'SyntaxError' && !isTypeScript && syntaxErrorPlace(error as object) === null) {
    return `If the fault is in this file, \`node --check ${file}\` shows the line.`;
  }
  return null;
}
