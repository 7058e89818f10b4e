import { isLovageError } from '@lovage/core';
import type { CliIo } from './cli-io.js';
import { EXIT_CODES } from './exit-codes.js';
import { exitOf } from './exit-of.js';
import { maskSecrets } from './mask-secrets.js';
import { stderrOf } from './terminal.js';

const CAUSES_AT_MOST = 5;

/**
 * Tells a person what went wrong and gives the exit code. An error of the family is its message, its code and its causes, a line each unless the message says the same; any other
 * one is a defect of somebody's, so its stack is shown. With DEBUG=lovage (or `debug`) every stack is. No password is.
 */
export function reportError(error: unknown, io: CliIo, options: { readonly debug?: boolean } = {}): number {
  const { colors, line } = stderrOf(io);
  const known = isLovageError(error);
  const code = known ? colors.dim(` (${error.code})`) : '';
  const named = !known && (error as { name?: unknown } | null | undefined)?.name !== 'Error';
  line(`${colors.red('error:')} ${messageOf(error, { named })}${code}`);
  if (!known || options.debug === true || wantsDebug(io.env)) showStack(error);
  // What a task threw is the caller's to mend: where it was thrown is the message.
  const isTaskFailure = isLovageError(error, 'LOVAGE_TASK_FAILED');
  for (const cause of causesOf(error)) {
    const said = messageOf(cause, { named: true });
    if (!isTaskFailure && messageOf(error).includes(said)) continue;
    line(`  ${colors.dim('caused by')} ${said}`);
    if (isTaskFailure) showStack(cause);
  }
  return EXIT_CODES[exitOf(error)].code;

  function showStack(thrown: unknown): void {
    for (const frame of framesOf(thrown)) line(colors.dim(maskSecrets(frame)));
  }
}

/** Whether DEBUG asks for Lovage's own details. */
export function wantsDebug(env: CliIo['env']): boolean {
  return (env['DEBUG'] ?? '').split(/[\s,]+/).some((name) => name === '*' || name.startsWith('lovage'));
}

/** What an error says, without passwords; with its name if asked for. */
export function messageOf(error: unknown, options: { readonly named?: boolean } = {}): string {
  if (!isErrorLike(error)) return maskSecrets(String(error));
  // What Node throws when every address of a host refused carries its words in the errors it gathers.
  const gathered = (error as { errors?: unknown }).errors;
  if (error.message === '' && Array.isArray(gathered)) return gathered.map((one) => messageOf(one)).join('; ');
  const text = error.message === '' ? error.name : error.message;
  return maskSecrets(
    options.named === true && error.message !== '' && !isLovageError(error) ? `${error.name}: ${text}` : text,
  );
}

function isErrorLike(value: unknown): value is Error {
  return typeof value === 'object' && value !== null && typeof (value as Error).message === 'string';
}

/** What caused an error, what caused that, and so on; at most five. */
export function causesOf(error: unknown): unknown[] {
  const causes: unknown[] = [];
  for (let next = causeOf(error); next !== undefined && causes.length < CAUSES_AT_MOST; next = causeOf(next)) {
    if (causes.includes(next)) break;
    causes.push(next);
  }
  return causes;
}

function causeOf(error: unknown): unknown {
  return (error as { cause?: unknown } | null | undefined)?.cause ?? undefined;
}

/** The lines of an error's stack, without its message. */
export function framesOf(error: unknown): string[] {
  const stack = isErrorLike(error) ? error.stack : undefined;
  return (stack ?? '').split('\n').filter((text) => /^\s+at /.test(text));
}
