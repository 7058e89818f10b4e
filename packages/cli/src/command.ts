import type { ArgumentsCamelCase, Argv } from 'yargs';
import type { CliIo } from './cli-io.js';
import type { ExitName } from './exit-codes.js';

/** One command: what it takes, and what it does. It throws what should be reported as an error. */
export interface Command<Options> {
  build(parser: Argv): Argv<Options>;
  run(options: ArgumentsCamelCase<Options>, io: CliIo): Promise<ExitName>;
}

/** Infers the options of `run` from `build`. */
export function defineCommand<Options>(command: Command<Options>): Command<Options> {
  return command;
}
