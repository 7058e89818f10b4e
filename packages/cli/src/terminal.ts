import picocolors from 'picocolors';
import type { CliIo, CliOutput } from './cli-io.js';

export type Colors = ReturnType<typeof picocolors.createColors>;

/** One of a command's two streams, line by line, with the colours it may show. */
export interface Terminal {
  readonly colors: Colors;
  readonly line: (text?: string) => void;
}

/** Results go here. */
export const stdoutOf = (io: CliIo): Terminal => terminal(io.stdout, io.env);

/** Progress, questions and errors go here, so that results can be piped. */
export const stderrOf = (io: CliIo): Terminal => terminal(io.stderr, io.env);

/** Whether colours belong on a stream: NO_COLOR, FORCE_COLOR, else whether it is a terminal. */
export function showsColor(output: CliOutput, env: CliIo['env']): boolean {
  if ((env['NO_COLOR'] ?? '') !== '') return false;
  if ((env['FORCE_COLOR'] ?? '') !== '') return env['FORCE_COLOR'] !== '0';
  return output.isTTY === true && env['TERM'] !== 'dumb';
}

function terminal(output: CliOutput, env: CliIo['env']): Terminal {
  return {
    colors: picocolors.createColors(showsColor(output, env)),
    line: (text = '') => void output.write(`${text}\n`),
  };
}
